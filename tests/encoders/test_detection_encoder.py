"""Both encoders on real files with the default weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from encoders.adapters.adapting import Adapting
from encoders.adapters.base import Adapter, AdapterConfig
from encoders.adapters.checkpoint import save_adapter
from encoders.adapters.words import texts_of
from encoders.base import MediaInput, Perception
from encoders.detection.candidates import GEOMETRY
from encoders.detection.config import WIDTH, GuiConfig, ObjectConfig
from encoders.detection.encoder import GuiEncoder, ObjectEncoder
from encoders.failures import FailureCategory
from encoders.results import extent

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
EMAIL, SAVE = (60, 64, 380, 100), (60, 180, 170, 218)  # boxes on the form


def form() -> Image.Image:
    """A window with a field named by the text above it, a check box and two buttons."""
    image = Image.new("RGB", (640, 400), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.truetype(FONT, 16)
    pen.text((60, 40), "Email", fill="black", font=font)
    pen.rounded_rectangle(EMAIL, 4, outline="#999", fill="white")
    pen.rectangle((60, 130, 76, 146), outline="#555", width=1)
    pen.text((86, 128), "Remember me", fill="black", font=font)
    for x, name in ((60, "Save"), (190, "Cancel")):
        pen.rounded_rectangle((x, 180, x + 110, 218), 6, fill="#2563eb")
        pen.text((x + 30, 188), name, fill="white", font=font)
    return image


@pytest.fixture(scope="module")
def gui() -> Iterator[GuiEncoder]:
    encoder = GuiEncoder(GuiConfig(features=True))
    encoder.load()
    yield encoder
    encoder.close()


@pytest.fixture(scope="module")
def objects() -> Iterator[ObjectEncoder]:
    encoder = ObjectEncoder(ObjectConfig(features=True))
    encoder.load()
    yield encoder
    encoder.close()


def file(image: Image.Image, path: Path, **options: object) -> MediaInput:
    image.save(path, **options)
    return MediaInput(path.name, str(path), "image/" + path.suffix[1:], path=path)


def test_everything_on_a_form_has_kind_box_confidence_and_features(gui: GuiEncoder, tmp_path: Path) -> None:
    [seen] = gui([file(form(), tmp_path / "form.png")])
    assert seen.status == "ok"
    assert isinstance(seen.result, tuple)
    labels = [detection.label for detection in seen.result]
    assert labels.count("button") == 2 and "check box" in labels
    for detection in seen.result:
        x0, y0, x1, y1 = extent(detection.quad)
        assert 0 <= x0 < x1 <= 640 and 0 <= y0 < y1 <= 400 and 0 < detection.confidence <= 1
    vectors = seen.features
    assert vectors.shape[1] in (GEOMETRY, 384 + GEOMETRY) and len(vectors) == len(seen.result) == len(seen.spans)


def test_every_detection_becomes_one_soft_token(gui: GuiEncoder, tmp_path: Path) -> None:
    shape = {"reach": 1, "strides": (), "widths": (8,), "rates": (1,), "steps_per_token": 1}
    config = AdapterConfig(task="gui_detection", d_encoder=WIDTH, d_model=16, embedding_scale=0.1, **shape)  # type: ignore[arg-type]
    save_adapter(Adapter(config), tmp_path / "adapter")
    adapting = Adapting(gui.name, str(tmp_path / "adapter"), "cpu")
    blank = Image.new("RGB", (64, 64), "white")
    [seen] = gui([file(blank, tmp_path / "two.tiff", save_all=True, append_images=[form()])])
    soft = adapting(seen)
    assert isinstance(seen.result, tuple) and seen.status == "ok"
    assert len(seen.result) >= 4 and texts_of(seen) == [one.label for one in seen.result]
    assert soft.vectors.shape == (len(seen.result), 16)
    assert [span.page for span in soft.spans] == [one.page for one in seen.result] and soft.spans[-1].page == 2
    assert "gui_detection_adapter" in seen.networks


@pytest.mark.parametrize(
    ("phrase", "inside"),
    [("the Save button", SAVE), ("Cancel", (190, 180, 300, 218)),
     ("the email field", EMAIL), ("Remember me", (56, 126, 200, 150))],
)  # fmt: skip
def test_a_phrase_points_at_the_element_that_it_names(
    gui: GuiEncoder, phrase: str, inside: tuple[float, float, float, float]
) -> None:
    found = gui.detect(np.array(form()), [phrase])
    assert found.labels and set(found.labels) == {phrase}
    x0, y0, x1, y1 = found.boxes[0]
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    assert inside[0] <= x <= inside[2] and inside[1] <= y <= inside[3]


def test_a_part_may_bring_phrases_of_its_own(gui: GuiEncoder, tmp_path: Path) -> None:
    part = file(form(), tmp_path / "form.png")
    [seen] = gui([replace(part, queries=("Cancel",))])
    assert {detection.label for detection in seen.result or ()} == {"Cancel"}


def test_ocr_is_loaded_only_when_a_phrase_may_name_a_text() -> None:
    encoder = GuiEncoder(GuiConfig())
    encoder.load()
    encoder.detect(np.array(form()), ())
    encoder.detect(np.array(form()), ["check boxes", "settings icon"])
    assert encoder._reader is None
    encoder.detect(np.array(form()), ["Save"])
    assert encoder._reader is not None
    encoder.close()


@pytest.mark.parametrize("queries", [[], ["", "  "], [f"thing number {n}" for n in range(500)]])
def test_no_phrase_an_empty_one_and_five_hundred(gui: GuiEncoder, objects: ObjectEncoder, queries: list[str]) -> None:
    image = np.array(form())
    for encoder in (gui, objects):
        found = encoder.detect(image, queries)
        assert len(found) == len(found.labels) <= encoder.config.max_detections
        assert np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()


def hostile(folder: Path) -> dict[str, MediaInput]:
    plain = form()
    wide = np.full((40, 20000, 3), 255, np.uint8)
    wide[10:30, 9000:9100] = (40, 90, 220)
    deep = Image.fromarray(np.array(plain.convert("L")).astype(np.uint16) * 256)
    frames = [plain.convert("RGB"), Image.new("RGB", plain.size, "red")]
    made = {
        "1x1": file(Image.new("RGB", (1, 1)), folder / "one.png"),
        "20000 px": file(Image.fromarray(wide), folder / "wide.png"),
        "CMYK": file(plain.convert("CMYK"), folder / "cmyk.jpeg"),
        "16 bit": file(deep, folder / "deep.png"),
        "transparent": file(Image.new("RGBA", (300, 200), (0, 0, 0, 0)), folder / "clear.png"),
        "animated": file(frames[0], folder / "two.webp", save_all=True, append_images=frames[1:]),
    }
    (folder / "cut.png").write_bytes((folder / "deep.png").read_bytes()[:200])
    made["damaged"] = MediaInput("cut", "cut.png", "image/png", path=folder / "cut.png")
    return made


def test_strange_images_give_a_result_or_a_clear_failure(
    gui: GuiEncoder, objects: ObjectEncoder, tmp_path: Path
) -> None:
    parts = hostile(tmp_path)
    for encoder in (gui, objects):
        seen: dict[str, Perception] = dict(zip(parts, encoder(list(parts.values()))))
        for name, perception in seen.items():
            if name == "damaged":
                assert perception.status == "failed"
                assert perception.failures[0].category is FailureCategory.CORRUPT
            else:
                assert perception.status == "ok", (name, perception.failures)
        for name in ("CMYK", "16 bit", "animated"):
            if encoder is gui:
                assert "button" in {detection.label for detection in seen[name].result or ()}, name


def test_a_pdf_is_looked_at_page_by_page(objects: ObjectEncoder, tmp_path: Path) -> None:
    form().save(tmp_path / "two.pdf", save_all=True, append_images=[form()])
    [seen] = objects([MediaInput("pdf", "two.pdf", "application/pdf", path=tmp_path / "two.pdf")])
    assert seen.status == "ok"
    assert {d.page for d in seen.result or () if d.label == "check box"} == {1, 2}


def test_fingerprints_tell_phrases_and_checkpoints_apart_but_not_threads() -> None:
    plain = ObjectEncoder(ObjectConfig()).fingerprint()
    assert plain == ObjectEncoder(ObjectConfig(threads=2)).fingerprint()
    assert plain != ObjectEncoder(ObjectConfig(queries=("red car",))).fingerprint()
    assert plain != GuiEncoder(GuiConfig()).fingerprint()
