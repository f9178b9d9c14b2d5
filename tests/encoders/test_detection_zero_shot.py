"""Zero-shot detectors of `transformers`, tiny and with random weights, behind our encoders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from encoders.base import Perception
from encoders.checkpoints.errors import CheckpointError
from encoders.detection import zero_shot
from encoders.detection.config import GuiConfig, ObjectConfig
from encoders.detection.encoder import GuiEncoder, ObjectEncoder
from encoders.detection.zero_shot import ZeroShotDetector
from encoders.results import extent
from tests.encoders import tiny_detectors
from tests.encoders.test_detection_encoder import file, form

FAMILIES = list(tiny_detectors.MAKERS)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.mark.parametrize("name", list(tiny_detectors.MAKERS))
def test_zero_shot_detectors_of_transformers_are_drop_in(name: str, tiny: Path, tmp_path: Path) -> None:
    folder = tiny_detectors.make(name, tiny / name)
    config = ObjectConfig(checkpoint=folder, queries=("red car", "stamp"), min_confidence=0.0, max_detections=5)
    encoder = ObjectEncoder(config)
    encoder.load()
    seen = encoder([file(form(), tmp_path / "a.png"), file(Image.new("RGB", (1, 1)), tmp_path / "b.png")])
    assert [perception.status for perception in seen] == ["ok", "ok"], seen[1].failures
    for detection in seen[0].result or ():
        assert detection.label in config.queries
        x0, y0, x1, y1 = extent(detection.quad)
        assert 0 <= x0 < x1 <= 640 and 0 <= y0 < y1 <= 400
    assert seen[0].result
    everything = encoder.detect(np.array(form()), ())
    assert len(everything) <= 5
    encoder.close()


def passes(encoder: ObjectEncoder | GuiEncoder) -> list[int]:
    """How many images each pass of its network had, as it goes on."""
    counts: list[int] = []
    assert isinstance(encoder._detector, ZeroShotDetector)
    encoder._detector._model.register_forward_pre_hook(
        lambda network, positional, named: counts.append(len(named["pixel_values"])), with_kwargs=True
    )
    return counts


def same(one: Perception, other: Perception) -> bool:
    """The same detections, up to the last digits of a confidence."""
    if len(one.result or ()) != len(other.result or ()):
        return False
    pairs = list(zip(one.result or (), other.result or ()))
    near = all(abs(a.confidence - b.confidence) < 2e-4 for a, b in pairs)
    return near and all(a.label == b.label and np.allclose(a.quad, b.quad, atol=0.05) for a, b in pairs)


@pytest.mark.parametrize("name", FAMILIES)
def test_images_share_passes_and_get_what_they_get_alone(name: str, tiny: Path, tmp_path: Path) -> None:
    config = GuiConfig(
        checkpoint=tiny_detectors.make(name, tiny / name), queries=("red car", "stamp"), min_confidence=0
    )
    pictures = [
        form(),
        form().rotate(180),
        form().resize((100, 300)),
        Image.effect_noise((640, 400), 90).convert("RGB"),
    ]
    parts = [file(picture, tmp_path / f"{at}.png") for at, picture in enumerate(pictures)]
    encoder = GuiEncoder(config)
    encoder.load()
    counts = passes(encoder)
    together = encoder(parts)
    fixed_size = name in ("owlv2", "omdet-turbo")  # the others keep an image's shape, and one of these is tall
    assert sorted(counts) == ([4] if fixed_size else [1, 3])
    alone = [encoder([part])[0] for part in parts]
    assert all(perception.result for perception in together)
    assert all(map(same, together, alone))
    assert not same(together[0], together[3])
    encoder.close()


def test_a_pass_is_bounded_and_phrases_of_ones_own_are_kept_apart(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = ObjectEncoder(ObjectConfig(checkpoint=tiny_detectors.make("owlv2", tiny / "owlv2"), min_confidence=0))
    encoder.load()
    counts = passes(encoder)
    parts = [file(form().rotate(at), tmp_path / f"{at}.png") for at in range(5)]
    monkeypatch.setattr(zero_shot, "PASS_PIXELS", 2 * 64 * 64)
    encoder([replace(part, queries=("stamp",)) for part in parts])
    assert counts == [2, 2, 1]
    counts.clear()
    seen = encoder([replace(part, queries=(phrase,)) for part, phrase in zip(parts, ("stamp", "stamp", "button"))])
    assert counts == [2, 1]
    assert [{found.label for found in each.result or ()} for each in seen] == [{"stamp"}, {"stamp"}, {"button"}]
    encoder.close()


def test_an_image_that_breaks_a_pass_costs_only_itself(tiny: Path, tmp_path: Path) -> None:
    encoder = ObjectEncoder(ObjectConfig(checkpoint=tiny_detectors.make("owlv2", tiny / "owlv2"), queries=("stamp",)))
    encoder.load()
    assert isinstance(encoder._detector, ZeroShotDetector)

    def no_black_ones(network: Any, positional: Any, named: dict[str, torch.Tensor]) -> None:
        if (named["pixel_values"].std((2, 3)) < 1e-3).any():
            raise MemoryError("no room for this")

    encoder._detector._model.register_forward_pre_hook(no_black_ones, with_kwargs=True)
    pictures = [form(), Image.new("RGB", (90, 90)), form()]
    seen = encoder([file(picture, tmp_path / f"{at}.png") for at, picture in enumerate(pictures)])
    assert [perception.status for perception in seen] == ["ok", "failed", "ok"]
    assert seen[1].failures[0].message == "no room for this"
    encoder.close()


def test_what_is_no_detector_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="zero-shot object detector"):
        ZeroShotDetector(str(tmp_path), (), floor=0.3, overlap=0.5, most=5).load("cpu")


def test_a_backbone_that_is_not_installed_is_named(tiny: Path) -> None:
    folder = Path(tiny_detectors.make("omdet-turbo", tiny / "omdet-timm"))
    config = json.loads((folder / "config.json").read_text())
    config["backbone_config"] = {"model_type": "timm_backbone", "backbone": "swin_tiny_patch4_window7_224"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="timm"):
        ZeroShotDetector(str(folder), (), floor=0.3, overlap=0.5, most=5).load("cpu")
