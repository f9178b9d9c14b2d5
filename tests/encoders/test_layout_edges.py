"""Layout on lines made by hand: odd geometry, scripts, receipts, joining, documents of several pages."""

import math

import numpy as np
import pytest

from encoders.layout import arrange, arrange_document, join_pages, markdown
from encoders.layout.joining import join
from encoders.media.opened import OpenedPage
from encoders.results import Line, Page, Role, Word, quad


def line(text: str, x: float, y: float, size: float = 20, width: float | None = None, words: bool = True) -> Line:
    wide = width if width is not None else 0.5 * size * len(text)
    unit = wide / max(len(text), 1)
    parts, at = [], 0
    for word in text.split(" "):
        parts.append(Word(word, quad(x + at * unit, y, x + (at + len(word)) * unit, y + size), 1.0))
        at += len(word) + 1
    return Line(text, quad(x, y, x + wide, y + size), 1.0, tuple(parts) if words else ())


def page(lines: list[Line], number: int = 1, width: int = 1000, height: int = 1400) -> Page:
    return arrange(OpenedPage(number, width, height, None), lines, source="ocr")


PROSE = "the committee considered each long report about the"


def column(x: float, y: float, rows: int, text: str = PROSE, last: str = "and then it ended.") -> list[Line]:
    made = [line(f"{text} {i}", x, y + 28 * i, width=420) for i in range(rows - 1)]
    return [*made, line(last, x, y + 28 * (rows - 1), width=160)]


def test_an_empty_page_has_no_text_and_no_lines() -> None:
    empty = page([])
    assert (empty.text, empty.lines, empty.tables) == ("", (), ())
    assert arrange_document([empty])[0].text == ""
    assert join_pages([empty]) == "" and markdown([]) == ""


def test_lines_without_a_place_or_text_are_left_out_and_nothing_raises() -> None:
    nan = math.nan
    odd = [
        Line("nowhere", (nan,) * 8, 1.0),
        Line("infinite", quad(0, 0, math.inf, 5), 1.0),
        Line("  ", quad(10, 10, 50, 30), 1.0),
        Line("point", quad(50, 50, 50, 50), 1.0),
        Line("negative", quad(90, 90, 10, 10), 1.0),
        Line("outside", quad(-500, -500, -400, -480), 1.0),
        Line("saved", (nan,) * 8, 1.0, (Word("saved", quad(100, 700, 180, 720), 1.0),)),
        line("plain", 100, 600),
    ]
    arranged = page(odd)
    assert {found.text for found in arranged.lines} == {"point", "negative", "outside", "saved", "plain"}
    assert all(math.isfinite(value) for found in arranged.lines for value in found.quad)


def test_a_stamp_at_an_angle_does_not_disturb_the_text() -> None:
    stamp = Line("DRAFT COPY", (300, 900, 700, 300, 740, 330, 340, 930), 0.9)
    plain = page(column(100, 200, 12))
    stamped = page([stamp, *column(100, 200, 12)])
    assert [found.text for found in stamped.lines][:-1] == [found.text for found in plain.lines]
    assert stamped.lines[-1].text == "DRAFT COPY"


def test_two_columns_under_a_heading_over_both() -> None:
    title = line("The Harbour Report", 300, 100, size=40)
    left, right = column(60, 200, 14), column(540, 200, 14)
    mixed = [*right[::-1], title, *left[::-1]]
    arranged = page(mixed)
    assert [found.text for found in arranged.lines] == [found.text for found in [title, *left, *right]]
    assert arranged.lines[0].role is Role.HEADING


def test_right_to_left_columns_begin_on_the_right() -> None:
    words = "هذا التقرير طويل جدا عن الميناء والسفن القديمة في المدينة"
    left, right = column(60, 200, 14, words, "انتهى الكلام."), column(540, 200, 14, words, "انتهى القول.")
    arranged = page([*left, *right])
    assert arranged.lines[0].quad[0] == 540 and arranged.lines[-1].quad[0] == 60
    assert arranged.text.index("القول") < arranged.text.index("الكلام")


def test_a_receipt_reads_across_its_rows() -> None:
    items = [("Coffee", "3.50"), ("Sandwich", "7.25"), ("Water", "1.80"), ("TOTAL", "12.55")]
    lines = [line("CORNER CAFE", 150, 30)]
    for i, (label, amount) in enumerate(items):
        lines += [line(amount, 400, 120 + 34 * i), line(label, 40, 120 + 34 * i)]
    text = arrange(OpenedPage(1, 520, 700, None), lines, source="ocr").text
    assert text.splitlines()[0] == "CORNER CAFE"
    assert [row for row in text.splitlines() if row][1:] == [f"{label} {amount}" for label, amount in items]


def test_a_merged_line_is_cut_where_the_columns_of_a_table_part() -> None:
    rows = [("Bolt", "4", "1.20"), ("Nut", "12", "0.80"), ("Screw", "7", "2.15"), ("Washer", "90", "0.10")]
    lines = []
    for i, row in enumerate(rows):
        cells = [line(text, 100 + 200 * c, 200 + 40 * i) for c, text in enumerate(row)]
        words = tuple(word for cell in cells for word in cell.words)
        lines.append(Line(" ".join(row), quad(100, 200 + 40 * i, 560, 220 + 40 * i), 0.9, words))
    (table,) = page(lines).tables
    assert (table.rows, table.columns) == (4, 3)
    assert [cell.text for cell in table.cells] == [text for row in rows for text in row]


def test_ideographs_join_without_a_space() -> None:
    rows = [line("港口委员会仪器园丁报告测量车站山谷图书馆合同", 100, 200 + 30 * i, width=440) for i in range(3)]
    rows.append(line("果园机器温度。", 100, 290, width=140))
    text = page(rows).text
    assert " " not in text and "\n" not in text


def test_paragraphs_of_one_text_layer_line_cut_in_the_middle_are_one_line() -> None:
    first, second = line("The quick brown", 100, 200), line("fox ran.", 255, 200)
    arranged = arrange(OpenedPage(1, 1000, 1400, None), [second, first], source="text_layer")
    assert [found.text for found in arranged.lines] == ["The quick brown fox ran."]


@pytest.mark.parametrize(
    ("before", "after", "known", "whole"),
    [
        ("the agri-", "cultural report", set(), "the agricultural report"),
        ("a well-", "known man", set(), "a well-known man"),
        ("a long-", "term plan", {"long-term"}, "a long-term plan"),
        ("state-of-the-", "art", set(), "state-of-the-art"),
        ("Anglo-", "Saxon", set(), "Anglo-Saxon"),
        ("Vor-", "und Nachteile", set(), "Vor- und Nachteile"),
        ("COVID-", "19 cases", set(), "COVID-19 cases"),
        ("soft\u00ad", "ware", set(), "software"),
        ("a plain", "line", set(), "a plain line"),
        ("中文", "文本", set(), "中文文本"),
        ("한국어", "문장", set(), "한국어 문장"),
    ],
)
def test_joining_of_two_lines(before: str, after: str, known: set[str], whole: str) -> None:
    assert join(before, after, known) == whole


def test_running_lines_leave_the_text_but_stay_among_the_lines() -> None:
    pages = []
    for number in range(1, 5):
        head = line(f"Annual Report {2000 + number}", 100, 40, size=18)
        foot = line(str(number), 490, 1350, size=18)
        pages.append(page([head, *column(100, 100, 38), foot], number))
    for arranged in arrange_document(pages):
        assert "Annual" not in arranged.text
        roles = {found.text: found.role for found in arranged.lines}
        assert roles[f"Annual Report {2000 + arranged.page}"] is Role.HEADER
        assert roles[str(arranged.page)] is Role.PAGE_NUMBER
        assert arranged.text.endswith("and then it ended.")


def test_words_paragraphs_and_tables_go_on_over_the_edge_of_a_page() -> None:
    def rows(start: int, y: float, count: int) -> list[Line]:
        return [
            line(text, 100 + 250 * c, y + 40 * i)
            for i in range(count)
            for c, text in enumerate((f"Item{start + i}", str(10 + start + i), f"{start + i}.50"))
        ]

    first = [*column(100, 100, 20, last="it was about the agri-"), *rows(1, 900, 8)]
    second = [*rows(9, 100, 6), *column(100, 500, 12)]
    pages = arrange_document([page(first), page(second, 2)])
    assert pages[1].tables[0].continues and not pages[0].tables[0].continues
    written = markdown(pages)
    assert written.count("| --- | --- | --- |") == 1 and written.index("Item8") < written.index("Item9")
    cut = [
        page(column(100, 100, 20, last="it was about the agri-")),
        page(column(100, 100, 9, text="cultural show of the town and a report about it"), 2),
    ]
    assert "about the agricultural show" in join_pages(arrange_document(cut))


def test_bullets_that_the_recogniser_left_out_are_seen_on_the_image() -> None:
    lines = [
        *column(100, 200, 4, last="and there were two of them in all:"),
        line("the first one goes on over the end of its", 130, 304),
        line("line and ends here", 130, 330),
        line("the second one is short", 130, 356),
        line("a line that stands in without a mark", 130, 430),
    ]
    image = np.full((1400, 1000, 3), 244, np.uint8)
    for y in (304, 356):
        image[y + 6 : y + 13, 104:111] = 20
    image[0:1400, 40:42] = 20  # a rule at the margin is none
    arranged = arrange(OpenedPage(1, 1000, 1400, image), lines, source="ocr")
    listed = [(found.text, found.paragraph) for found in arranged.lines if found.role is Role.LIST]
    assert [text for text, _ in listed] == [lines[i].text for i in (4, 5, 6)]
    assert listed[0][1] == listed[1][1] != listed[2][1]
    assert "- the second one is short" in markdown([arranged])


def test_items_of_a_list_whose_numbers_lost_their_space_are_items() -> None:
    lines = [
        *column(100, 200, 6),
        line("1.Quiet harbour", 100, 380, width=150),
        line("2. Old bridge", 100, 408, width=130),
    ]
    assert page(lines).text.endswith("\n\n1.Quiet harbour\n2. Old bridge")


def test_a_paragraph_after_a_list_begins_with_its_capital_and_a_little_space() -> None:
    items = [line(f"{i}. A short item of the list", 100, 400 + 28 * i, width=330) for i in (1, 2)]
    after = line("Every harbour was described in the report about the", 120, 490, width=400)
    arranged = page([*column(100, 200, 6), *items, after])
    assert arranged.text.endswith("2. A short item of the list\n\n" + after.text)


def test_the_blank_half_of_a_chinese_full_stop_is_no_gap_between_columns() -> None:
    texts = ["木只设船通季港机委", "小。", "管港验机安观造机"]
    lefts = (100, 280, 320)  # the ink of the stop ends at 300; its place is as wide as any character's
    words = tuple(
        Word(text, quad(x, 100, x + (20 if text == "小。" else 20 * len(text)), 120), 1.0)
        for text, x in zip(texts, lefts)
    )
    whole = Line("".join(texts), quad(100, 100, 480, 120), 1.0, words)
    below = [line("港机委农明进验验集委", x, 150 + 28 * i, width=200) for x in (100, 320) for i in range(5)]
    assert page([whole, *below]).lines[0].text == whole.text


def test_a_heading_beside_a_picture_is_none_over_both_columns() -> None:
    left = [*column(100, 150, 8), line("Quiet harbour", 100, 410, 27), *column(100, 460, 8)]
    right = [*column(560, 150, 4), line("Figure 2: A harbour.", 560, 520, width=200), *column(560, 570, 4)]
    texts = [found.text for found in page([*left, *right]).lines]
    assert texts.index("Quiet harbour") < texts.index("Figure 2: A harbour.")
    assert [found.text for found in page([*left, *right]).lines[:17]] == [found.text for found in left]
