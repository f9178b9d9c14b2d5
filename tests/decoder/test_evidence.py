from __future__ import annotations

from dataclasses import replace

import pytest

from decoder.evidence import EvidenceIndex, normalised
from decoder.precontext import Precontext
from encoders.results import DocumentResult, Page, Role, quad
from tests.decoder.pages import document, speech

RECEIPT = document(
    ["GARDENIA BAKERIES (KL) SDN BHD", "Date: 05/08/2017", "Subtotal 19.31"],
    ["Bread 19.31", "TOTAL RM1,219.31", "Thank you, please come again"],
)
INDEX = EvidenceIndex.of([Precontext("ocr", RECEIPT, "part-a")])


def test_a_value_is_found_with_its_page_and_box() -> None:
    (found,) = INDEX.find("Gardenia Bakeries (KL) Sdn Bhd", "/company")
    assert (found.path, found.part_id, found.page) == ("/company", "part-a", 1)
    assert found.value == "GARDENIA BAKERIES (KL) SDN BHD" and found.confidence == pytest.approx(0.9)
    assert found.quad == quad(50, 0, 350, 20)
    assert INDEX.find("bakeries")[0].quad == quad(140, 0, 220, 20)


@pytest.mark.parametrize(
    ("value", "read"),
    [("05/08/2017", "05/08/2017"), ("1219.31", "RM1,219.31"), ("RM 1219.31", "RM1,219.31"), ("1,219.31", "RM1,219.31")],
)
def test_amounts_meet_however_they_are_written(value: str, read: str) -> None:
    assert INDEX.find(value)[0].value == read


@pytest.mark.parametrize("outer", ["", "(", "..", "\u00ab", "\uff08"])
def test_words_are_compared_alike_with_and_without_letters_beyond_ascii(outer: str) -> None:
    for word in ("Total:", "a.b", "NO.7731", "$5", "~", "It's", "\t", "re_"):
        assert normalised(outer + word) == normalised(f"\u3000{outer}{word}")


def test_misread_letters_are_found_with_less_confidence() -> None:
    (found,) = INDEX.find("GARDEN1A BAKERlES (KL) SDN BHD".replace("1", "I"))
    assert found.value.startswith("GARDENIA") and 0.7 < found.confidence < 0.9
    assert INDEX.find("thankyou please come agaln")[0].page == 2


@pytest.mark.parametrize("value", ["05/08/2018", "1219.32", "Blue Harbour Cafe", "", "!!", "42"])
def test_what_the_input_does_not_contain_is_not_found(value: str) -> None:
    assert INDEX.find(value) == ()


def test_of_several_places_the_one_beside_the_fields_name_is_taken() -> None:
    assert INDEX.find("19.31", about="bread")[0].page == 2
    assert INDEX.find("19.31", about="sub total")[0].page == 1


def test_a_value_over_two_lines_has_two_places() -> None:
    address = document(["LOT 3, JALAN PELABUR", "40300 SHAH ALAM", "TOTAL 3"])
    found = EvidenceIndex.of([Precontext("ocr", address)]).find("Lot 3 Jalan Pelabur 40300 Shah Alam")
    assert [item.value for item in found] == ["LOT 3, JALAN PELABUR", "40300 SHAH ALAM"]


def test_speech_gives_times_and_speaker() -> None:
    heard = speech(("SPEAKER_00", "what do I owe you"), ("SPEAKER_01", "that makes twelve pounds fifty please"))
    index = EvidenceIndex.of([Precontext("ocr", RECEIPT, "a"), Precontext("speech_to_text", heard, "b")])
    (found,) = index.find("twelve pounds fifty")
    assert (found.part_id, found.speaker, found.page, found.quad) == ("b", "SPEAKER_01", None, None)
    assert (found.start, found.end) == (7.0, pytest.approx(9.8)) and found.confidence == pytest.approx(0.8)


def test_a_sentence_is_traced_to_the_words_it_quotes() -> None:
    found = INDEX.quoted("The date on the receipt is 05/08/2017.", "What is the date?")
    assert [item.value for item in found] == ["05/08/2017"]
    assert INDEX.quoted("I do not know that.", "What is the date?") == ()
    company = INDEX.quoted("It is called Gardenia Bakeries, I think.", "What is the company?")
    assert [item.value for item in company] == ["GARDENIA BAKERIES"]


def test_pages_without_boxes_still_say_the_page() -> None:
    plain = DocumentResult((Page(3, 0, 0, "text_layer", "Notes\n\nThe code is QX-771."),))
    (found,) = EvidenceIndex.of([Precontext("ocr", plain)]).find("QX-771")
    assert found.page == 3 and found.quad is None


BILL = EvidenceIndex.of(
    [
        Precontext(
            "ocr",
            document(
                ["Invoice#7731 of 14 March 2021", "Amount 1.234,50 EUR", "請求番号12345", "due 03/04/2021"],
                ["Discount (12.00)", "Paid 1 500,00 on Apr 2nd, 2021", "Ref. INV-88/A"],
            ),
        )
    ]
)


@pytest.mark.parametrize(
    ("value", "read", "page"),
    [
        ("2021-03-14", "14 March 2021", 1),
        ("March 14, 2021", "14 March 2021", 1),
        ("2021-04-03", "03/04/2021", 1),
        ("02.04.2021", "Apr 2nd, 2021", 2),
        ("1234.5", "1.234,50", 1),
        ("1500", "1 500,00", 2),
        ("-12.0", "(12.00)", 2),
        ("7731", "Invoice#7731", 1),
        ("番号", "請求番号12345", 1),
        ("INV-88", "INV-88/A", 2),
    ],
)
def test_values_meet_their_print(value: str, read: str, page: int) -> None:
    assert [(item.value, item.page) for item in BILL.find(value)] == [(read, page)]


@pytest.mark.parametrize("value", ["773", "2021-03-15", "1234.6", "12.01", "234", "NV-8"])
def test_what_only_resembles_a_value_is_none(value: str) -> None:
    assert BILL.find(value) == ()


def test_a_text_goes_on_behind_footer_and_header() -> None:
    pages = document(["Made by the harbour and", "Page 1"], ["Annual report", "fishery committee of Ostend"])
    first, second = pages.pages
    first = replace(first, lines=(first.lines[0], replace(first.lines[1], role=Role.PAGE_NUMBER)))
    second = replace(second, lines=(replace(second.lines[0], role=Role.HEADER), second.lines[1]))
    index = EvidenceIndex.of([Precontext("ocr", DocumentResult((first, second)))])
    found = index.find("harbour and fishery committee")
    assert [(item.value, item.page) for item in found] == [("harbour and", 1), ("fishery committee", 2)]
    assert index.find("annual report")[0].page == 2
