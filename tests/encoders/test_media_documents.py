"""Documents: every format, the text layer and its soundness, and every way in which a PDF can be bad."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.failures import Failure, FailureCategory, MediaError
from encoders.media.config import OpeningConfig
from encoders.media.letters import in_reading_order, normalise, script_of
from encoders.media.opened import OpenedPage
from encoders.media.opener import MediaOpener
from encoders.results import Word, extent, quad
from tests.encoders import media_files as files
from tests.encoders.media_files import item, pymupdf


@pytest.fixture(scope="module")
def opener() -> Iterator[MediaOpener]:
    with MediaOpener() as opener:
        yield opener


@pytest.fixture(scope="module")
def always() -> Iterator[MediaOpener]:
    with MediaOpener(OpeningConfig(ocr="always")) as opener:
        yield opener


def pages(opener: MediaOpener, path: Path, *args: Any, **more: Any) -> list[OpenedPage]:
    found = list(opener.pages(item(path, *args, **more)))
    assert all(isinstance(page, OpenedPage) for page in found), found
    return found  # type: ignore[return-value]


def texts(page: OpenedPage) -> list[str]:
    assert page.lines is not None
    return [line.text for line in page.lines]


def categories(opener: MediaOpener, path: Path, **more: Any) -> list[tuple[int | None, FailureCategory]]:
    return [(v.page, v.category) for v in opener.pages(item(path, **more)) if isinstance(v, Failure)]


def test_a_born_digital_page_is_its_text_layer(opener: MediaOpener, tmp_path: Path) -> None:
    path = files.pdf(tmp_path / "a.pdf", 40)
    assert opener.probe(item(path)).pages == 40
    page = pages(opener, path, 31, 33)[1]
    assert (page.page, page.width, page.height, page.image) == (33, 1190, 1684, None)
    assert texts(page) == ["Page 33 of an office file"]
    line = page.lines[0]  # type: ignore[index]
    assert [word.text for word in line.words] == ["Page", "33", "of", "an", "office", "file"]
    assert line.confidence == 1.0
    assert (100, 400, 600, 400) in page.rules and (100, 500, 600, 500) in page.rules


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_boxes_lie_on_the_ink_of_turned_and_cropped_pages(
    opener: MediaOpener, always: MediaOpener, tmp_path: Path, rotation: int
) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((120, 200), "Hamburg", fontsize=20)
    page.set_cropbox(pymupdf.Rect(50, 100, 400, 400))
    page.set_rotation(rotation)
    document.save(tmp_path / "a.pdf")
    read, seen = pages(opener, tmp_path / "a.pdf")[0], pages(always, tmp_path / "a.pdf")[0]
    assert (read.width, read.height) == (seen.width, seen.height)
    assert seen.image is not None and seen.lines is None
    corners = read.lines[0].quad  # type: ignore[index]
    dark = np.argwhere(seen.image.min(axis=2) < 128)
    ink = (*dark.min(axis=0)[::-1], *dark.max(axis=0)[::-1])
    box = extent(corners)
    assert all(abs(a - b) < 12 for a, b in zip(box, ink)), (box, ink)  # 10 of 40 pixels are ascender and descender
    turned = np.arctan2(corners[3] - corners[1], corners[2] - corners[0])
    assert round(np.degrees(turned)) % 360 == rotation


def test_slanted_words_have_slanted_boxes(opener: MediaOpener, tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((100, 200), "slanted line", morph=(pymupdf.Point(100, 200), pymupdf.Matrix(-10)))
    document.save(tmp_path / "a.pdf")
    for word in pages(opener, tmp_path / "a.pdf")[0].lines[0].words:  # type: ignore[index]
        x0, y0, x1, y1, x2, y2 = word.quad[:6]
        assert abs(np.degrees(np.arctan2(y1 - y0, x1 - x0)) - 10) < 1
        assert abs(np.hypot(x2 - x1, y2 - y1) - 22) < 1  # 11 points at 144 dpi


def test_lines_are_cut_where_cells_meet(opener: MediaOpener, tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((72, 100), "Nail 40 mm   Brass")
    page.draw_line((134, 80), (134, 110))
    page.insert_text((72, 200), "Nail 40 mm   Brass")
    page.insert_text((72, 300), "far          apart")
    document.save(tmp_path / "a.pdf")
    assert texts(pages(opener, tmp_path / "a.pdf")[0]) == ["Nail 40 mm", "Brass", "Nail 40 mm Brass", "far", "apart"]


def test_which_text_layers_are_sound(opener: MediaOpener, tmp_path: Path) -> None:
    def read(path: Path) -> bool:
        return pages(opener, path)[0].image is not None

    assert read(files.scan(tmp_path / "scan.pdf"))
    assert read(files.scan(tmp_path / "hidden.pdf", hidden="A scanner's own reading of it"))
    assert read(files.scan(tmp_path / "stamp.pdf", stamp="Received 2024-01-02, page 1 of 3"))

    blank = pymupdf.open()
    blank.new_page()
    blank.save(tmp_path / "blank.pdf")
    page = pages(opener, tmp_path / "blank.pdf")[0]
    assert page.image is None and page.lines == []

    drawn = pymupdf.open()
    drawn.new_page().draw_circle((300, 300), 100)  # outlined type looks like this
    drawn.save(tmp_path / "drawn.pdf")
    assert read(tmp_path / "drawn.pdf")

    article = pymupdf.open(files.scan(tmp_path / "base.pdf"))
    picture = article.extract_image(article[0].get_images()[0][0])["image"]
    article = pymupdf.open()
    page_ = article.new_page()
    page_.insert_image((50, 400, 545, 700), stream=picture, keep_proportion=False)
    for number in range(20):
        page_.insert_text((50, 60 + 16 * number), f"An article with a photograph and words of its own, line {number}")
    article.save(tmp_path / "article.pdf")
    assert not read(tmp_path / "article.pdf")


def test_unmapped_glyphs_are_read_from_pixels(opener: MediaOpener, tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((72, 100), "these letters are glyphs that no table names")
    font = page.get_fonts()[0][0]
    names = " ".join(f"/glyph.of.{n}" for n in range(26))
    document.xref_set_key(font, "Encoding", f"<< /Type /Encoding /Differences [97 {names}] >>")
    document.save(tmp_path / "a.pdf")
    assert pages(opener, tmp_path / "a.pdf")[0].image is not None


def test_never_reads_only_the_text_layer(tmp_path: Path) -> None:
    with MediaOpener(OpeningConfig(ocr="never")) as opener:
        assert pages(opener, files.scan(tmp_path / "scan.pdf"))[0].lines == []
        assert texts(pages(opener, files.scan(tmp_path / "b.pdf", hidden="known words"))[0]) == ["known words"]


def test_letters_are_those_that_are_meant() -> None:
    assert normalise("oﬃce ﬁle") == "office file"
    assert normalise("ﻣﺮﺣﺒﺎ") == "مرحبا"
    assert normalise("hyphen\xad") == "hyphen-" and normalise("hyphen\u2010") == "hyphen-"
    assert normalise("well\xadknown x²") == "well-known x²"
    assert script_of("Привет World") == "Cyrl" and script_of("12") == "Latn" and script_of("ภาษาไทย") == "Thai"
    shown = [Word(text, quad(x, 0, x + 9, 9), 1.0) for x, text in enumerate(["456", "עולם", "New", "York", "שלום"])]
    assert [word.text for word in in_reading_order(shown)] == ["שלום", "New", "York", "עולם", "456"]


def test_soft_hyphens_that_are_drawn_are_hyphens(opener: MediaOpener, tmp_path: Path) -> None:
    """As Liberation's hyphens extract, and as browsers write the places where a word may be cut."""
    document = pymupdf.open()
    font = pymupdf.Font("helv")
    writer = pymupdf.TextWriter(document.new_page().rect)
    writer.append((50, 80), "a well\xadknown file ends in a hy\xad", font=font, fontsize=11)
    _, after = writer.append((50, 100), "printed in", font=font, fontsize=11)
    writer.append(after, "\xad", font=font, fontsize=11)
    writer.append(after, "side a well-known browser", font=font, fontsize=11)
    writer.write_text(document[0])
    document.save(tmp_path / "a.pdf")
    lines = texts(pages(opener, tmp_path / "a.pdf")[0])
    assert lines == ["a well-known file ends in a hy-", "printed inside a well-known browser"]


def test_right_to_left_lines_read_from_the_right(opener: MediaOpener, tmp_path: Path) -> None:
    document = pymupdf.open()
    document.new_page().insert_htmlbox((50, 50, 500, 200), '<p dir="rtl">שלום עולם זה טקסט</p>')
    document.save(tmp_path / "a.pdf")
    line = pages(opener, tmp_path / "a.pdf")[0].lines[0]  # type: ignore[index]
    assert (line.text, line.script) == ("שלום עולם זה טקסט", "Hebr")
    assert line.words[0].quad[0] > line.words[-1].quad[0]


def test_passwords(opener: MediaOpener, tmp_path: Path) -> None:
    aes = pymupdf.PDF_ENCRYPT_AES_256
    locked = files.pdf(tmp_path / "locked.pdf", encryption=aes, owner_pw="o", user_pw="secret")
    owned = files.pdf(tmp_path / "owned.pdf", encryption=aes, owner_pw="o", user_pw="")
    required = [(None, FailureCategory.PASSWORD_REQUIRED)]
    assert categories(opener, locked) == required
    assert categories(opener, locked, password="wrong") == required
    assert len(pages(opener, locked, password="secret")) == len(pages(opener, owned)) == 3
    office = tmp_path / "locked.docx"
    office.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000) + "EncryptedPackage".encode("utf-16-le"))
    assert categories(opener, office) == required


@pytest.mark.parametrize("how", ["syntax", "zlib", "no stream", "lost"])
def test_a_broken_page_costs_itself(opener: MediaOpener, tmp_path: Path, how: str) -> None:
    path = files.broken_pdf(tmp_path / "a.pdf", how)
    found = list(opener.pages(item(path)))
    assert categories(opener, path) == [(2, FailureCategory.CORRUPT)]
    assert [page.page for page in found if isinstance(page, OpenedPage)] == [1, 3]


def test_bad_files_have_a_category(opener: MediaOpener, tmp_path: Path) -> None:
    whole = files.pdf(tmp_path / "whole.pdf").read_bytes()
    bad = {
        "empty.pdf": (b"", FailureCategory.EMPTY),
        "cut.pdf": (whole[:300], FailureCategory.CORRUPT),
        "junk.pdf": (b"%PDF-1.7\n" + bytes(range(128, 256)) * 20, FailureCategory.CORRUPT),
        "cut.docx": (files.docx(tmp_path / "a.docx").read_bytes()[:600], FailureCategory.CORRUPT),
        "noise.bin": (b"\x00\x80\x00\xff" + os.urandom(4000), FailureCategory.UNSUPPORTED),
        "a.zip": (files.zipped(tmp_path / "z", {"a.txt": "x"}).read_bytes(), FailureCategory.UNSUPPORTED),
        "blank.txt": (b" \n\n ", FailureCategory.EMPTY),
    }
    for name, (data, category) in bad.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(MediaError) as caught:
            opener.probe(item(path))
        assert caught.value.category is category, name
        assert categories(opener, path) == [(None, category)], name
    half = tmp_path / "half.pdf"
    half.write_bytes(whole[: len(whole) // 2])
    found = list(opener.pages(item(half)))
    assert isinstance(found[0], OpenedPage) and isinstance(found[-1], Failure)
    assert found[-1].category is FailureCategory.CORRUPT
    assert categories(opener, tmp_path / "whole.pdf", start=7, stop=9) == [(None, FailureCategory.CORRUPT)]


def test_a_document_bomb_is_too_large(opener: MediaOpener, tmp_path: Path) -> None:
    path = files.docx(tmp_path / "bomb.docx", "<w:p><w:r><w:t>" + "bomb " * (27 << 20) + "</w:t></w:r></w:p>")
    assert path.stat().st_size < 1 << 20
    assert categories(opener, path) == [(None, FailureCategory.TOO_LARGE)]


def test_pages_keep_to_the_pixel_budget(tmp_path: Path) -> None:
    document = pymupdf.open()
    document.new_page(width=14400, height=14400).insert_text((1000, 1000), "wall", fontsize=400)
    document.new_page(width=3, height=14000)
    document.save(tmp_path / "a.pdf")
    with MediaOpener(OpeningConfig(ocr="always", max_pixels=1_000_000)) as opener:
        for page in pages(opener, tmp_path / "a.pdf"):
            assert page.image is not None and page.image.shape == (page.height, page.width, 3)
            assert page.width * page.height <= 1_000_000


def test_word_slides_and_books(opener: MediaOpener, always: MediaOpener, tmp_path: Path) -> None:
    word = pages(opener, files.docx(tmp_path / "a.docx"))
    assert [texts(page) for page in word] == [
        ["A heading", "First paragraph, größer.", "• an item", "left", "right"],
        ["On the second page"],
    ]
    heights = [extent(line.quad)[3] - extent(line.quad)[1] for line in word[0].lines or []]
    assert heights[0] > 1.5 * heights[1]
    assert word[0].rules  # of the table
    slides = pages(opener, files.pptx(tmp_path / "a.pptx"))
    assert [texts(page) for page in slides] == [["Slide 1"], ["Slide 2"]]
    assert pages(always, tmp_path / "a.pptx")[1].image is not None
    html = tmp_path / "page"
    html.write_bytes('<!doctype html><meta charset="iso-8859-1"><h1>Über</h1><img src="/etc/passwd">'.encode("latin-1"))
    assert texts(pages(opener, html)[0]) == ["Über"]


def test_sheets_and_tables(opener: MediaOpener, tmp_path: Path) -> None:
    book = files.xlsx(tmp_path / "a.xlsx")
    page = pages(opener, book)[0]
    cells = [[word.text for word in line.words] for line in page.lines or []]
    assert cells == [["Name", "Sum"], ["Müller", "12.5"]]
    comma = tmp_path / "a.csv"
    comma.write_text('name;amount\n"A; b";1,5\nC;\n')
    page = pages(opener, comma)[0]
    assert [[word.text for word in line.words] for line in page.lines or []] == [
        ["name", "amount"],
        ["A; b", "1,5"],
        ["C"],
    ]
    columns = {line.words[1].quad[0] for line in page.lines or [] if len(line.words) > 1}
    assert len(columns) == 1 and page.rules


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_plain_text_in_its_encoding(opener: MediaOpener, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(("Grüße aus Köln\n  eingerückt\n" + "Wort " * 40).encode(encoding))
    page = pages(opener, path)[0]
    assert texts(page)[:2] == ["Grüße aus Köln", "eingerückt"]
    assert sum(text.count("Wort") for text in texts(page)) == 40
    assert all(extent(line.quad)[2] < page.width for line in page.lines or [])


def test_text_as_pixels(always: MediaOpener, tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("# Title\n\nSome text.\n")
    page = pages(always, path)[0]
    assert page.image is not None and page.image.min() < 100
