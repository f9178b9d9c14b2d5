"""Ablations: what differs between the trainings, and what is said of them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from encoders.adapters.base import Adapter
from pipelines.train.hybrid import dictation
from pipelines.train.hybrid.ablations import RATES, ablations, figures, row
from pipelines.train.hybrid.perceived import Perceived
from pipelines.train.hybrid.recipe import read_recipe
from pipelines.train.hybrid.samples import Sample, Task
from pipelines.train.hybrid.source import Conditions
from tests.decoder.tiny import save_tiny
from tests.train.test_hybrid import hybrid, page, recipe_of

RECIPE = Path("pipelines/train/hybrid/recipe.toml")


def test_every_ablation_differs_in_one_thing(tmp_path: Path) -> None:
    *rates, geometry, confidence, speech, silent = ablations(read_recipe(RECIPE), 60)
    for rate, one in zip(RATES, rates, strict=True):
        adapter = Adapter(one.recipe.adapters["ocr"])
        lengths = torch.tensor([50])
        tokens = adapter(torch.zeros(1, 50, 120), lengths, torch.zeros(1, 6))
        assert tokens.shape[1] == -(-50 // rate) and {stage.rates for stage in one.recipe.stages} == {(rate,)}
    full = rates[1]
    assert geometry.recipe == confidence.recipe == full.recipe and geometry.flags != confidence.flags != full.flags
    assert [one.recipe.slots["ocr"] for one in rates] == [6, 6, 9, 12] and full.recipe.fold == "A"
    assert [s.model_copy(update={"ctc": 0.0}) for s in speech.recipe.stages] == list(silent.recipe.stages)
    assert all(stage.ctc for stage in speech.recipe.stages) and speech.hears and not full.hears
    for one in (full, speech):
        assert abs(sum(stage.seconds for stage in one.recipe.stages) - 60) < 1e-6
    (tmp_path / "recipe.json").write_text(full.recipe.model_dump_json())
    assert read_recipe(tmp_path / "recipe.json") == full.recipe


def test_a_line_says_what_the_last_stage_came_to(tmp_path: Path) -> None:
    exact = {"where": [0.5, 2], "field": [0.1, 6], "unanswerable": [0.75, 4]}
    said = [
        {
            "validation": name,
            "mode": mode,
            "rate": 16,
            "exact": exact,
            "loss": {"read": loss, "where": 0.5, "field": 1, "unanswerable": 0},
        }
        for name, mode, loss in (("read", "soft", 3.0), ("ablation", "soft", 2.0), ("ablation", "both", 1.0))
    ]
    (tmp_path / "validation-0.jsonl").write_text("\n".join(map(json.dumps, said)))
    found = figures(tmp_path.glob("*.jsonl"), "ablation") | {"characters": {"16": {"read": 0.25}}}
    cells = row(found | {"name": "full", "seconds": 61.0}).split()
    assert cells[:7] == ["full", "2.00", "-", "0.250", "-", "-", "/"]
    assert cells[7:] == ["-", "0.500", "/", "0.500", "0.583", "0.75", "-", "61"]
    assert row({"name": "speech", "words": 0.125, "seconds": 9}).split()[-2:] == ["0.125", "9"]
    assert "FAILED: training" in row({"name": "full", "error": "training"})
    with pytest.raises(ValueError, match="nothing was validated"):
        figures([], "ablation")


def test_lines_are_written_down_from_soft_tokens(tmp_path: Path) -> None:
    recipe = recipe_of(save_tiny(tmp_path / "tiny", "llama"))
    torch.save(hybrid(recipe).state_dict(), tmp_path / "state.pt")
    sample = Sample(1, "lines", "en", "prose", tasks=(Task("read", "Read.", None, "The total"),))
    (tmp_path / "0.samples").write_bytes(pickle.dumps([Perceived(sample, (page(),))]))
    made = dictation.Dictation(recipe, tmp_path / "state.pt", "cpu", Conditions(geometry=False))
    found = dictation.lines(made, tmp_path, 2, 4)
    assert list(found) == ["read"] and found["read"] > 0
    assert found == dictation.lines(made, tmp_path, 2, 1)
