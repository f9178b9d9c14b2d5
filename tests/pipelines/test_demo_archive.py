"""The committed demo archive is what examples/truth.json says, as far as a first look can tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from encoders.base import MediaInput
from encoders.failures import FailureCategory, MediaError
from encoders.media.opener import MediaOpener

EXAMPLES = Path(__file__).parents[2] / "examples"
TRUTH: dict[str, dict[str, Any]] = json.loads((EXAMPLES / "truth.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def opener() -> Any:
    with MediaOpener() as opened:
        yield opened


def test_truth_names_every_file_and_they_are_small() -> None:
    files = [path for path in (EXAMPLES / "archive").rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(EXAMPLES / "archive")) for path in files) == sorted(TRUTH)
    assert sum(path.stat().st_size for path in files) <= 4_000_000


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_a_first_look_agrees(opener: MediaOpener, name: str) -> None:
    known = TRUTH[name]
    item = MediaInput(name, name, "", path=EXAMPLES / "archive" / name)
    if known["status"] == "failed":
        with pytest.raises(MediaError) as failure:
            opener.probe(item)
        assert failure.value.category == FailureCategory(known["category"])
        return
    probe = opener.probe(item)
    assert (probe.media_type, probe.modality) == (known["media_type"], known["modality"])
    assert probe.pages == known.get("pages", 0)
    assert probe.seconds == pytest.approx(known.get("seconds", 0), abs=0.2)
