"""The OCR encoder on real files with the default networks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pymupdf
import pytest
from numpy.typing import NDArray

from encoders.base import MediaInput, Perception
from encoders.checkpoints import CheckpointError
from encoders.failures import FailureCategory
from encoders.layout import Draft
from encoders.layout.runs import Look
from encoders.media.config import OpeningConfig, OpeningLimits
from encoders.ocr.config import OcrConfig
from encoders.ocr.encoder import OcrEncoder
from encoders.ocr.ink import places
from encoders.ocr.networks import Steps
from encoders.ocr.networks_onnx import OnnxNetworks
from encoders.registry import ENCODERS
from encoders.results import DocumentResult, Page

PRINTED = (
    "Harbour office, record of storage",
    "Invoice 2026-0417 for 12 crates of paper",
    "Delivered on Monday to the north gate",
    "Total due 1,204.50 within thirty days",
    "Signed by the keeper of the archive",
)


def pdf(*pages: tuple[str, ...], rotate: int = 0) -> bytes:
    """A document with one line of print below the other."""
    with pymupdf.open() as document:
        for lines in pages:
            page = document.new_page(width=400, height=300)
            for row, text in enumerate(lines):
                page.insert_text((40, 50 + 40 * row), text, fontname="tiro", fontsize=14)
            page.set_rotation(rotate)
        return bytes(document.tobytes())


def picture(angle: float = 0.0, turned: int = 0, lines: tuple[str, ...] = PRINTED) -> bytes:
    """The same as a PNG, skewed by an angle and turned clockwise."""
    with pymupdf.open(stream=pdf(lines)) as document:
        pixels = document[0].get_pixmap(dpi=144, alpha=False)
    image = np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.width, 3)
    matrix = cv2.getRotationMatrix2D((pixels.width / 2, pixels.height / 2), -angle, 1)
    image = cv2.warpAffine(image, matrix, (pixels.width, pixels.height), borderValue=(255, 255, 255))
    return bytes(cv2.imencode(".png", np.ascontiguousarray(np.rot90(image, -turned // 90)))[1].tobytes())


def part(data: bytes, media_type: str = "image/png", name: str = "part") -> MediaInput:
    return MediaInput(name, f"memory://{name}", media_type, data=data)


@pytest.fixture(scope="module")
def encoder() -> Iterator[OcrEncoder]:
    encoder = OcrEncoder(OcrConfig(opening=OpeningConfig(ocr="always"), features="neck"))
    encoder.load()
    yield encoder
    encoder.close()


def page_of(perception: Perception, number: int = 0) -> Page:
    assert isinstance(perception.result, DocumentResult)
    return perception.result.pages[number]


def texts(page: Page) -> list[str]:
    return [line.text for line in page.lines]


def test_printed_pages_are_read_exactly_with_their_places(encoder: OcrEncoder) -> None:
    (perception,) = encoder([part(pdf(PRINTED), "application/pdf")])
    page = page_of(perception)
    assert texts(page) == list(PRINTED)
    assert (perception.status, page.source, page.rotation, page.width, page.height) == ("ok", "ocr", 0, 800, 600)
    assert {"open", "detect", "recognise", "layout"} <= set(perception.seconds)
    for row, line in enumerate(page.lines):
        baseline = 2 * (50 + 40 * row)
        assert line.confidence > 0.9
        assert line.quad[0] == pytest.approx(80, abs=8) and line.quad[1] < baseline - 10 < line.quad[5]
        assert " ".join(word.text for word in line.words) == line.text
        before = ""
        for word in line.words:
            left = 2 * (40 + pymupdf.get_text_length(before, "tiro", 14))
            right = 2 * (40 + pymupdf.get_text_length(before + word.text, "tiro", 14))
            before += word.text + " "
            assert word.quad[0] == pytest.approx(left, abs=7) and word.quad[2] == pytest.approx(right, abs=7)


def test_features_lie_under_their_lines(encoder: OcrEncoder) -> None:
    (perception,) = encoder([part(pdf(PRINTED, PRINTED[:2]), "application/pdf")])
    assert perception.features.dtype == np.float16 and perception.features.shape[1] == 120
    assert [(span.page, span.item) for span in perception.spans] == [(1, i) for i in range(5)] + [(2, 0), (2, 1)]
    assert perception.spans[0].start == 0 and perception.spans[-1].stop == len(perception.features)
    assert all(a.stop == b.start for a, b in zip(perception.spans, perception.spans[1:]))
    for span in perception.spans:
        line = page_of(perception, span.page - 1).lines[span.item]
        steps = (line.quad[2] - line.quad[0]) / (line.quad[5] - line.quad[1]) * 48 * 0.8 / 8
        assert span.stop - span.start == pytest.approx(steps, abs=0.15 * steps + 3)
    assert np.isfinite(perception.features).all() and perception.features.any()


@pytest.mark.parametrize(("turned", "rotation"), [(90, 270), (180, 180), (270, 90)])
def test_turned_pages_are_turned_back(encoder: OcrEncoder, turned: int, rotation: int) -> None:
    (perception,) = encoder([part(picture(turned=turned))])
    page = page_of(perception)
    assert page.rotation == rotation
    assert (page.width, page.height) == (800, 600)
    assert texts(page) == list(PRINTED)
    assert page.lines[0].quad[1] < page.lines[-1].quad[1]


def test_skewed_lines_have_skewed_boxes(encoder: OcrEncoder) -> None:
    (perception,) = encoder([part(picture(angle=6))])
    page = page_of(perception)
    assert texts(page) == list(PRINTED) and page.rotation == 0
    for line in page.lines:
        x0, y0, x1, y1 = line.quad[:4]
        assert np.degrees(np.arctan2(y1 - y0, x1 - x0)) == pytest.approx(6, abs=1.2)


def test_a_line_up_the_margin_does_not_turn_the_page(encoder: OcrEncoder) -> None:
    with pymupdf.open(stream=pdf(PRINTED)) as document:
        document[0].insert_text((380, 250), "Received 1931", fontname="tiro", fontsize=14, rotate=90)
        data = bytes(document.tobytes())
    page = page_of(encoder([part(data, "application/pdf")])[0])
    assert page.rotation == 0
    up = next(line for line in page.lines if line.text == "Received 1931")
    assert up.quad[1] > up.quad[3]  # it begins at the bottom


def test_empty_tiny_and_long_images(encoder: OcrEncoder) -> None:
    blank = cv2.imencode(".png", np.full((400, 300, 3), 255, np.uint8))[1].tobytes()
    tiny = cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    long = cv2.imencode(".png", np.full((40, 6000, 3), 200, np.uint8))[1].tobytes()
    for perception in encoder([part(blank), part(tiny), part(long)]):
        assert perception.status == "ok"
        assert page_of(perception).lines == () and page_of(perception).text == ""


def test_chinese_is_read_among_english(encoder: OcrEncoder) -> None:
    with pymupdf.open() as document:
        page = document.new_page(width=400, height=200)
        for row, text in enumerate(("图书馆开放时间", "每天上午九点", "欢迎光临北京")):
            page.insert_text((40, 50 + 40 * row), text, fontname="china-s", fontsize=16)
        data = bytes(document.tobytes())
    page = page_of(encoder([part(data, "application/pdf")])[0])
    assert texts(page) == ["图书馆开放时间", "每天上午九点", "欢迎光临北京"]
    assert [len(line.words) for line in page.lines] == [7, 6, 6]


def test_chinese_inside_english_lines_is_not_lost(encoder: OcrEncoder) -> None:
    with pymupdf.open() as document:
        page = document.new_page(width=500, height=200)
        for row, text in enumerate(
            ("Application form for members", "Name: 王小明 Date: 12 May 2026", "Thank you 谢谢")
        ):
            page.insert_htmlbox(pymupdf.Rect(30, 20 + 36 * row, 480, 60 + 36 * row), text)
        data = bytes(document.tobytes())
    read = "".join(texts(page_of(encoder([part(data, "application/pdf")])[0])))
    assert "王小明" in read and "12 May 2026" in read and "谢谢" in read


def test_bad_parts_fail_alone_and_in_place(encoder: OcrEncoder) -> None:
    broken = picture()[:300]
    good, bad, empty, last = encoder([part(picture(), name="a"), part(broken), part(b""), part(picture(), name="d")])
    assert texts(page_of(good)) == texts(page_of(last)) == list(PRINTED)
    assert bad.status == "failed" and bad.result is None
    assert bad.failures[0].task == "ocr" and bad.failures[0].category is FailureCategory.CORRUPT
    assert empty.failures[0].category is FailureCategory.EMPTY


def test_a_network_that_fails_on_a_page_fails_that_page(encoder: OcrEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    run, calls = OnnxNetworks.recognise, []

    def once_nan(self: OnnxNetworks, lines: np.ndarray, alphabet: str = "all") -> Steps:
        steps = run(self, lines, alphabet)
        calls.append(1)
        return Steps(steps.symbols, steps.confidences * np.float32("nan"), None) if len(calls) == 1 else steps

    monkeypatch.setattr(OnnxNetworks, "recognise", once_nan)
    (perception,) = encoder([part(pdf(PRINTED, PRINTED[:2]), "application/pdf")])
    assert perception.status == "partial"
    assert [failure.page for failure in perception.failures] == [1]
    assert perception.failures[0].category is FailureCategory.MODEL_FAILED
    assert page_of(perception).page == 2 and texts(page_of(perception)) == list(PRINTED[:2])


def test_pages_share_batches_up_to_a_sum_of_pixels(encoder: OcrEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert encoder._reader is not None
    read, groups = encoder._reader.read, []
    monkeypatch.setattr(encoder._reader, "read", lambda images: groups.append(len(images)) or read(images))
    monkeypatch.setattr(encoder._reader, "pages_at_once", 16)  # as on a card
    monkeypatch.setattr("encoders.ocr.encoder.PIXELS_AT_ONCE", 900_000)  # a picture has 480,000
    lines = [(text,) for text in PRINTED]
    seen = encoder([part(picture(lines=line), name=str(index)) for index, line in enumerate(lines)])
    assert groups == [2, 2, 1]
    assert [tuple(texts(page_of(perception))) for perception in seen] == lines


def test_ruling_lines_may_be_looked_for_by_the_card(encoder: OcrEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    image = cv2.imdecode(
        np.frombuffer(picture(lines=("Storage of goods", "Paper and ink", "Postage paid", "Total of all")), np.uint8),
        cv2.IMREAD_COLOR,
    )
    for row, count in enumerate(("Crates", "1,204", "350", "1,554")):
        cv2.putText(image, count, (450, 105 + 80 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (20, 20, 20), 2)
    for at in (50, 135, 215, 295, 375):
        cv2.line(image, (50, at), (700, at), (90, 90, 90), 2)
    for at in (50, 400, 700):
        cv2.line(image, (at, 50), (at, 375), (90, 90, 90), 2)
    skew = cv2.getRotationMatrix2D((400, 300), -0.6, 1)
    image = cv2.warpAffine(image, skew, image.shape[1::-1], borderValue=(255, 255, 255))
    ruled = part(bytes(cv2.imencode(".png", image)[1].tobytes()))
    (by_host,) = encoder([ruled])
    assert page_of(by_host).tables
    asked: list[Look] = []

    def ink(looks: Sequence[tuple[NDArray[np.uint8], Look]]) -> Callable[[], NDArray[np.uint8]]:
        ((sheet, look),) = looks
        asked.append(look)
        turn = cv2.getRotationMatrix2D((0, 0), np.degrees(look.angle), 1)
        grey = cv2.cvtColor(sheet, cv2.COLOR_RGB2GRAY)
        grey = cv2.warpAffine(grey, turn, grey.shape[::-1], flags=cv2.INTER_LINEAR, borderValue=255)
        seen = cv2.adaptiveThreshold(grey, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 25, 20)
        bits, (place,) = np.packbits(seen, axis=1), places([seen.shape[:2]])
        anywhere = np.full(place.bytes - bits.size, 255, np.uint8)
        return lambda: np.concatenate([bits.ravel(), anywhere])

    assert encoder._reader is not None
    monkeypatch.setattr(encoder._reader._networks.cropper, "ink", ink)
    monkeypatch.setitem(Draft.page.__globals__, "runs_on", lambda image, look: pytest.fail("the host looked too"))
    (by_card,) = encoder([ruled])
    assert asked and asked[0].angle != 0
    assert by_card.result == by_host.result and not by_card.failures


def test_a_sound_text_layer_is_not_read_again() -> None:
    encoder = OcrEncoder(OcrConfig())
    encoder.load()
    (perception,) = encoder([part(pdf(PRINTED), "application/pdf")])
    encoder.close()
    assert page_of(perception).source == "text_layer" and texts(page_of(perception)) == list(PRINTED)
    assert "recognise" not in perception.seconds


def test_the_fingerprint_tells_what_shapes_a_perception() -> None:
    base = OcrEncoder(OcrConfig()).fingerprint()
    same = OcrConfig(threads=2, engine="onnxruntime", limits=OpeningLimits(page_seconds=5))
    assert OcrEncoder(same).fingerprint() == base
    for other in (OcrConfig(opening=OpeningConfig(dpi=200)), OcrConfig(scripts=("Latn",)), OcrConfig(features="neck")):
        assert OcrEncoder(other).fingerprint() != base


def test_a_text_layer_waits_for_no_network(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    broken = OcrEncoder(OcrConfig(detector=str(tmp_path)))
    broken.load(lazily=True)
    [seen] = broken([part(pdf(PRINTED), "application/pdf")])
    assert texts(page_of(seen)) == list(PRINTED) and not seen.networks and broken.parameters() == {}
    with pytest.raises(CheckpointError, match="cannot be loaded"):  # no part's fault, and so no part's failure
        broken([part(picture())])
    broken.close()
    with pytest.raises(CheckpointError, match="does not exist"):
        OcrEncoder(OcrConfig(detector=str(tmp_path / "none"))).load(lazily=True)


def test_asking_for_the_fingerprint_loads_no_network_library() -> None:
    code = (
        "import sys; from encoders.registry import ENCODERS; e = ENCODERS['ocr']; "
        "e.build(e.config_type()()).fingerprint(); print('torch' in sys.modules, 'onnxruntime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_parameters_are_counted(encoder: OcrEncoder) -> None:
    counts = encoder.parameters()
    assert counts["ocr_detection"] == pytest.approx(2.46e6, rel=0.01)
    assert counts["ocr_recognition"] == pytest.approx(5.27e6, rel=0.01)
    assert ENCODERS["ocr"].config_type() is OcrConfig
