"""Ablations: what differs between the trainings, and what is said of them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

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
    full, geometry, confidence, ctc, words, guessed, *rates = ablations(read_recipe(RECIPE), 60)
    assert set(words.recipe.slots.values()) == {0} and full.recipe.slots["ocr"] > 0
    assert {stage.words_left_out for stage in guessed.recipe.stages} == {0.15}
    assert abs(sum(stage.seconds for stage in full.recipe.stages) - 60) < 1e-6 and full.recipe.fold == "A"
    assert geometry.recipe == confidence.recipe == full.recipe and geometry.flags != confidence.flags != full.flags
    assert [s.model_copy(update={"ctc": 0.0}) for s in full.recipe.stages] == list(ctc.recipe.stages)
    for rate, one in zip(RATES, rates, strict=True):
        adapter = Adapter(one.recipe.adapters["ocr"])
        lengths = torch.tensor([50])
        tokens = adapter(torch.zeros(1, 50, 120), lengths, torch.zeros(1, 6))
        assert tokens.shape[1] == -(-50 // rate) and {stage.rates for stage in one.recipe.stages} == {(rate,)}
    (tmp_path / "recipe.json").write_text(full.recipe.model_dump_json())
    assert read_recipe(tmp_path / "recipe.json") == full.recipe


def test_a_line_says_what_the_last_stage_came_to(tmp_path: Path) -> None:
    said = [
        {"validation": name, "mode": mode, "rate": 16, "exact": {"where": [0.5, 2]}, "loss": {"read": loss}}
        for name, mode, loss in (("read", "soft", 3.0), ("settle", "soft", 2.0), ("settle", "both", 1.0))
    ]
    (tmp_path / "validation-0.jsonl").write_text("\n".join(map(json.dumps, said)))
    found = figures(tmp_path.glob("*.jsonl"), "settle") | {"characters": {"16": {"read": 0.25}}, "words": None}
    cells = row(found | {"name": "full", "seconds": 61.0}).split()
    assert cells == ["full", "2.00", "-", "0.250", "-", "-", "0.50", "-", "61"]
    assert "FAILED: training" in row({"name": "full", "error": "training"})


def test_lines_are_written_down_from_soft_tokens(tmp_path: Path) -> None:
    recipe = recipe_of(save_tiny(tmp_path / "tiny", "llama"))
    torch.save(hybrid(recipe).state_dict(), tmp_path / "state.pt")
    sample = Sample(1, "lines", "en", "prose", tasks=(Task("read", "Read.", None, "The total"),))
    (tmp_path / "0.samples").write_bytes(pickle.dumps([Perceived(sample, (page(),))]))
    made = dictation.Dictation(recipe, tmp_path / "state.pt", "cpu", Conditions(geometry=False))
    found = dictation.lines(made, tmp_path, 2, 4)
    assert list(found) == ["read"] and found["read"] > 0
    assert found == dictation.lines(made, tmp_path, 2, 1)
