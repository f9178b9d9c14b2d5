"""Routing by script, and reading through tesseract, on pages set in faces that the script network never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from encoders.failures import FailureCategory, MediaError
from encoders.ocr.cropper import HostCropper
from encoders.ocr.script import NATIVE, ScriptDetector
from encoders.ocr.script_engine import ScriptEngine
from encoders.ocr.script_network import CLASSES
from encoders.ocr.tesseract import (
    DEBIAN_PACKAGES,
    INSTALLED_SCRIPTS,
    MODELS,
    TesseractConfig,
    TesseractReader,
    as_printed,
)
from encoders.ocr.unicode_script import text_script
from encoders.results import extent, quad
from pipelines.train.script.degrade import scan_like
from pipelines.train.script.faces import writable
from pipelines.train.script.render import Face, RenderedPage, render_page
from pipelines.train.script.samples import SAMPLES, SCRIPT_OF

NOTO = Path("/usr/share/fonts/truetype/noto")
CJK = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
FACES = {  # of fonts-noto-core and fonts-noto-cjk, which `make system` installs
    "en": "NotoSans-Regular", "de": "NotoSerif-Regular", "tr": "NotoSans-Regular", "ru": "NotoSerif-Regular",
    "uk": "NotoSans-Regular", "el": "NotoSans-Regular", "ar": "NotoNaskhArabic-Regular",
    "he": "NotoSerifHebrew-Regular", "hi": "NotoSansDevanagari-Regular", "bn": "NotoSansBengali-Regular",
    "ta": "NotoSansTamil-Regular", "te": "NotoSansTelugu-Regular", "th": "NotoSerifThai-Regular",
    "ka": "NotoSansGeorgian-Regular", "hy": "NotoSansArmenian-Regular", "pa": "NotoSansGurmukhi-Regular",
    "gu": "NotoSansGujarati-Regular", "kn": "NotoSansKannada-Regular", "ml": "NotoSansMalayalam-Regular",
    "vi": "NotoSans-Regular", "ko": None, "ja": None, "zh-Hans": None, "zh-Hant": None,
}  # fmt: skip

SPECKLED = np.random.default_rng(0).integers(0, 255, (50, 50, 3), np.uint8)


def page_of(language: str, count: int = 4, *, size: int = 26, texts: tuple[str, ...] = ()) -> RenderedPage:
    name = FACES[language]
    face = Face(NOTO / f"{name}.ttf") if name else Face(CJK, 1 if language == "ko" else 0)
    right_to_left = SCRIPT_OF[language] in ("Arab", "Hebr")
    chosen = [writable(face, text) for text in texts or SAMPLES[language][:count]]
    return render_page(chosen, face, size=size, right_to_left=right_to_left)


def routes(scripts: list[str]) -> set[str]:
    return {"built-in" if script in NATIVE else script for script in scripts}


def character_error(read: str, text: str) -> float:
    row = list(range(len(text) + 1))
    for i, a in enumerate(read, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(text, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1] / max(1, len(text))


@pytest.fixture(scope="module")
def detector() -> ScriptDetector:
    torch.set_num_threads(1)
    detector = ScriptDetector()
    detector.load()
    return detector


@pytest.fixture(scope="module")
def reader() -> TesseractReader:
    return TesseractReader()


@pytest.mark.parametrize("language", sorted(FACES))
@pytest.mark.parametrize("scanned", [False, True], ids=["clean", "scan"])
def test_every_line_of_a_page_goes_to_its_recogniser(detector: ScriptDetector, language: str, scanned: bool) -> None:
    page = page_of(language)
    image = scan_like(page.image, np.random.default_rng(1)) if scanned else page.image
    seen = detector.look(image, page.quads)
    script = "Latn-VN" if language == "vi" else SCRIPT_OF[language]
    assert routes(list(seen.scripts)) == routes([script])
    assert seen.upside_down < 0.2


@pytest.mark.parametrize("language", ["en", "ru", "ar", "hi", "ko", "th"])
def test_a_page_on_its_head_is_seen_to_be(detector: ScriptDetector, language: str) -> None:
    page = page_of(language)
    height, width = page.image.shape[:2]
    turned = [quad(width - x1, height - y1, width - x0, height - y0) for x0, y0, x1, y1 in map(extent, page.quads)]
    assert detector.look(page.image[::-1, ::-1], turned).upside_down > 0.8


def test_blocks_of_a_mixed_page_keep_their_scripts(detector: ScriptDetector) -> None:
    above, below = page_of("en"), page_of("ru")
    shift = above.image.shape[0]
    image = np.concatenate((above.image, below.image))
    moved = [quad(x0, y0 + shift, x1, y1 + shift) for x0, y0, x1, y1 in map(extent, below.quads)]
    scripts = detector(image, [*above.quads, *moved])
    assert routes(scripts[: len(above.quads)]) == {"built-in"}
    assert scripts[len(above.quads) :] == ["Cyrl"] * len(moved)


def test_pages_that_are_looked_at_together_are_seen_as_alone(detector: ScriptDetector) -> None:
    above, below, other = page_of("en"), page_of("ru"), page_of("ja")
    image, quads = np.concatenate((above.image, below.image)), [*above.quads]
    shift = above.image.shape[0]
    quads += [quad(x0, y0 + shift, x1, y1 + shift) for x0, y0, x1, y1 in map(extent, below.quads)]
    pages = [(other.image, other.quads), (image, []), (image, quads), (above.image, above.quads)]
    together = detector.look_at(pages, HostCropper())
    for seen, (pixels, lines) in zip(together, pages, strict=True):
        alone = detector.look(pixels, lines)
        assert (seen.scripts, seen.looked_at) == (alone.scripts, alone.looked_at)
        assert seen.upside_down == pytest.approx(alone.upside_down, abs=1e-4)


def test_lines_of_digits_take_the_script_around_them(detector: ScriptDetector) -> None:
    texts = (SAMPLES["ru"][0], "2024-11-05   1 250,00", "18:30", "-----------", SAMPLES["ru"][1], SAMPLES["ru"][2])
    page = page_of("ru", texts=texts)
    assert set(detector(page.image, page.quads)) == {"Cyrl"}
    digits = page_of("ru", texts=("12.50", "2024-11-05", "3 x 4.20"))
    assert routes(detector(digits.image, digits.quads)) == {"built-in"}


def test_capitals_that_look_alike_do_not_make_a_latin_page_cyrillic(detector: ScriptDetector) -> None:
    texts = ("TOTAL 12.50", "CASH 20.00", "CHANGE 7.50", "TAX 1.10", "THANK YOU", "TEL 03-552 11", "MEMO ABC 77")
    page = page_of("en", texts=texts)
    assert routes(detector(page.image, page.quads)) == {"built-in"}


def test_a_page_without_lines_has_no_scripts(detector: ScriptDetector) -> None:
    assert detector(np.full((100, 100, 3), 255, np.uint8), []) == []


@pytest.mark.parametrize(
    ("language", "most"),
    [("ru", 0.01), ("uk", 0.03), ("el", 0.03), ("ar", 0.02), ("he", 0.02), ("hi", 0.02), ("ko", 0.03), ("th", 0.08),
     ("bn", 0.05), ("ta", 0.02), ("ka", 0.03), ("hy", 0.05), ("vi", 0.03)],
)  # fmt: skip
def test_tesseract_reads_lines_in_place(reader: TesseractReader, language: str, most: float) -> None:
    page = page_of(language, 2)
    script = "Latn-VN" if language == "vi" else SCRIPT_OF[language]
    lines = reader.read(page.image, page.quads, script)
    assert [line.quad for line in lines] == list(page.quads)
    assert {line.script for line in lines} == {SCRIPT_OF[language]}
    read, text = ("".join("".join(parts).split()) for parts in ([line.text for line in lines], page.texts))
    assert character_error(read, text) <= most
    for line in lines:
        assert 0.3 < line.confidence <= 1
        x0, y0, x1, y1 = extent(line.quad)
        slack = (y1 - y0) / 2
        for word in line.words:
            left, top, right, bottom = extent(word.quad)
            assert x0 - slack <= left <= right <= x1 + slack
            assert y0 - slack <= top <= bottom <= y1 + slack


def test_words_of_right_to_left_lines_come_in_reading_order(reader: TesseractReader) -> None:
    page = page_of("ar", 1)
    [line] = reader.read(page.image, page.quads[:1], "Arab")
    lefts = [extent(word.quad)[0] for word in line.words]
    assert len(lefts) > 4
    assert lefts == sorted(lefts, reverse=True)


def test_small_and_turned_lines_are_read(reader: TesseractReader) -> None:
    page = page_of("ru", 1, size=12)
    [line] = reader.read(page.image, page.quads[:1], "Cyrl")
    assert character_error(line.text, page.texts[0]) <= 0.05
    sideways = np.ascontiguousarray(np.rot90(page.image))  # counter-clockwise: (x, y) goes to (y, width - x)
    width = page.image.shape[1]
    corners = np.array(page.quads[0]).reshape(4, 2)
    turned = tuple(float(v) for x, y in corners for v in (y, width - x))
    [again] = reader.read(sideways, [turned], "Cyrl")  # type: ignore[list-item]
    assert again.text == line.text


def test_a_blank_line_reads_as_nothing(reader: TesseractReader) -> None:
    [line] = reader.read(np.full((60, 200, 3), 255, np.uint8), [quad(10, 10, 190, 50)], "Cyrl")
    assert (line.text, line.confidence, line.words) == ("", 0.0, ())


def test_a_missing_model_names_its_package(reader: TesseractReader, tmp_path: Path) -> None:
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\necho 'List of available languages (1):'\necho eng\n")
    program.chmod(0o755)
    bare = TesseractReader(TesseractConfig(command=str(program)))
    with pytest.raises(MediaError, match="apt-get install tesseract-ocr-script-cyrl") as error:
        bare.read(np.zeros((10, 10, 3), np.uint8), [quad(0, 0, 9, 9)], "Cyrl")
    assert error.value.category is FailureCategory.MODEL_FAILED
    nowhere = TesseractReader(TesseractConfig(command="no-such-tesseract"))
    with pytest.raises(MediaError, match="apt-get install tesseract-ocr"):
        nowhere.read(np.zeros((10, 10, 3), np.uint8), [quad(0, 0, 9, 9)], "Cyrl")


def test_a_tesseract_that_hangs_is_ended(tmp_path: Path) -> None:
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\nif [ $1 = --list-langs ]; then echo list; echo Cyrillic; else exec sleep 600; fi\n")
    program.chmod(0o755)
    slow = TesseractReader(TesseractConfig(command=str(program), page_seconds=0.3))
    with pytest.raises(MediaError, match="longer than") as error:
        slow.read(SPECKLED, [quad(0, 0, 49, 49)], "Cyrl")
    assert error.value.category is FailureCategory.TIMED_OUT
    assert not [child for child in psutil.Process().children() if "sleep" in child.cmdline()]


def test_a_tesseract_that_fails_is_a_failure_with_its_words(tmp_path: Path) -> None:
    program = tmp_path / "tesseract"
    program.write_text(
        "#!/bin/sh\nif [ $1 = --list-langs ]; then echo list; echo Cyrillic; else echo no memory >&2; exit 3; fi\n"
    )
    program.chmod(0o755)
    failing = TesseractReader(TesseractConfig(command=str(program)))
    with pytest.raises(MediaError, match="tesseract ended with 3: no memory"):
        failing.read(SPECKLED, [quad(0, 0, 49, 49)], "Cyrl")


def test_every_script_seen_has_a_reader() -> None:
    assert set(CLASSES) - NATIVE - {"Zyyy"} == set(MODELS)
    assert set(INSTALLED_SCRIPTS) <= set(MODELS)
    assert len(set(DEBIAN_PACKAGES)) == len(INSTALLED_SCRIPTS) + 1


@pytest.mark.parametrize("language", sorted(SAMPLES))
def test_the_script_of_a_text_is_told_by_its_letters(language: str) -> None:
    assert all(text_script(text) == SCRIPT_OF[language] for text in SAMPLES[language])


def test_texts_of_several_scripts_count_letters() -> None:
    assert text_script("12.50 € –") == "Zyyy"
    assert text_script("東京タワー") == "Jpan"
    assert text_script("서울 首都") == "Hang"
    assert text_script("Письмо от IBM") == "Cyrl"
    assert as_printed("µε", "Grek") == "με"
    assert as_printed("กํา", "Thai") == "กำ"


def test_windows_are_seen_alike_in_batches_for_a_gpu() -> None:
    windows = np.random.default_rng(1).integers(0, 256, (37, 40, 256), np.uint8)
    alone, gpu = ScriptEngine(), ScriptEngine()
    gpu._begin_less()
    gpu._sizes = (8, 32)
    for ours, wanted in zip(gpu(windows)(), alone(windows)(), strict=True):
        assert ours.shape == wanted.shape and np.allclose(ours, wanted, atol=1e-4)
    assert gpu.parameters() == alone.parameters()
