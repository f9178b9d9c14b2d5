"""Folds of voices: what a fold is trained on, where it may begin, and what is said of it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.hybrid.folds import hears_nobody, line, recipe_of
from pipelines.train.hybrid.recipe import read_recipe

RECIPE = Path("pipelines/train/hybrid/recipe.toml")


def test_a_fold_hears_the_other_voices_alone() -> None:
    whole = read_recipe(RECIPE)
    own = recipe_of(whole, "B", 100)
    assert own.fold == "B" and own.adapters == whole.adapters and own.rank == whole.rank
    assert abs(sum(stage.seconds for stage in own.stages) - 100) < 1e-6
    assert all(stage.speech == 1 and stage.unheard < 1 and stage.ctc for stage in own.stages)
    assert [stage.lines_at_once for stage in own.stages] == [1, 3, 8]


def test_a_fold_begins_where_nobody_was_heard() -> None:
    whole = read_recipe(RECIPE)
    assert hears_nobody(whole, Path("run/line")) and hears_nobody(whole, Path("run/read"))
    assert not hears_nobody(whole, Path("run/instruct")) and not hears_nobody(whole, Path("run/settle"))
    assert not hears_nobody(whole, Path("run")), "the newest state may be any"


def test_a_line_tells_unheard_voices_from_heard_ones() -> None:
    cell = {"value": 0.25, "low": 0.1, "high": 0.5, "count": 9}
    rows = {
        "aloud: words, voices A, 0.5 s a token": {"soft": cell, "encoder": {**cell, "value": 0.02}},
        "aloud: words, voices A, 0.5 s a token: soft / text tokens": {"soft": cell},
        "aloud: words, voices B, 0.5 s a token": {"soft": {**cell, "value": 0.2}, "encoder": cell},
    }
    assert line("A", rows) == (
        "fold A, without heart, jf_alpha, jf_nezumi: word error 25.0 % (10.0-50.0) on 9 windows; "
        "voices that training heard 20.0 % (10.0-50.0); whisper itself 2.0 % (10.0-50.0)"
    )
