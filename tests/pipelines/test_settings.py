"""One settings tree: every source, the order among them, and errors that name the right key."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.settings import UsageError, leaves, load_settings


def test_later_sources_win_and_every_value_knows_its_origin(tmp_path: Path) -> None:
    file = tmp_path / "interlace.yaml"
    file.write_text("ocr: {opening: {dpi: 100, max_pixels: 5000000}}\nrun: {limit: 7}\n")
    environment = {"INTERLACE_OCR__OPENING__DPI": "200", "INTERLACE_RUN__LIMIT": "8", "INTERLACE_HOME": "/x"}
    loaded = load_settings(file, {"run.limit": 9}, environment)
    assert loaded.settings.encoder("ocr").opening.dpi == 200
    assert loaded.settings.run.limit == 9
    origins = {path: origin for path, _, origin in loaded.leaves()}
    assert origins["ocr.opening.dpi"] == "environment"
    assert origins["ocr.opening.max_pixels"] == str(file)
    assert origins["run.limit"] == "command line"
    assert origins["decoder.checkpoint"] == "default"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"ocr.opening.dpl": 1}, "did you mean ocr.opening.dpi"),
        ({"opening.dpi": 1}, "did you mean ocr.opening.dpi"),
        ({"ocr.opening": 1}, "is a group"),
        ({"ocr.opening.dpi": "many"}, "ocr.opening.dpi from command line"),
        ({"ocr.opening.dpi": 5}, "greater than or equal to 36"),
        ({"decoder.mode": "fat"}, "decoder.mode from command line: .*a mode is text, soft, both, and not fat"),
        ({"decoder.mode.orc": "both"}, "decoder.mode from command line: .*there is no task orc"),
    ],
)
def test_wrong_keys_and_values_are_usage_errors(overrides: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_settings(None, overrides, {})


def test_a_mode_by_task_goes_over_one_for_all() -> None:
    base = {"decoder.mode": "text"}
    loaded = load_settings(None, {"decoder.mode.ocr": "both"}, {}, base)
    decoder = loaded.settings.decoder
    assert (decoder.mode_of("ocr"), decoder.mode_of("speech_to_text")) == ("both", "text")
    again = load_settings(None, {}, {}, dict(leaves(loaded.settings.model_dump(mode="json"))))
    assert again.settings == loaded.settings
    assert (
        load_settings(None, {"decoder.mode": "soft"}, {}, {"decoder.mode.ocr": "both"}).settings.decoder.mode == "soft"
    )


def test_an_unreadable_config_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [")
    for name in ("bad.yaml", "missing.yaml"):
        with pytest.raises(UsageError, match=name):
            load_settings(tmp_path / name, {}, {})
