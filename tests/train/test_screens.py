"""Detected things as samples of the hybrid training."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from decoder.config import DecoderConfig
from decoder.fusion import Fusion
from decoder.precontext import Precontext
from decoder.sequence import TextSegment
from encoders.adapters.base import Adapter, AdapterConfig
from encoders.adapters.checkpoint import load_adapter
from encoders.adapters.geometry import geometry_of
from encoders.adapters.words import texts_of
from pipelines.train.hybrid.batches import batch_of
from pipelines.train.hybrid.export import export
from pipelines.train.hybrid.items import Saying
from pipelines.train.hybrid.model import Hybrid
from pipelines.train.hybrid.prompts import Prompter
from pipelines.train.hybrid.recipe import Recipe, Stage
from pipelines.train.hybrid.samples import REFUSAL
from pipelines.train.hybrid.screens.ask import ask
from pipelines.train.hybrid.screens.looks import Look, read_looks, write_looks
from pipelines.train.hybrid.screens.source import Screens
from pipelines.train.hybrid.screens.views import detected, view
from pipelines.train.hybrid.source import Source
from tests.decoder.tiny import save_tiny

BOXES = [[100, 40, 200, 80], [300, 42, 400, 78], [500, 40, 540, 80], [100, 700, 900, 780], [440, 300, 480, 340]]
LABELS = ("button", "button", "search field", "table", "icon")


def look() -> Look:
    vectors = np.random.default_rng(2).normal(size=(5, 12))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = ("Save", "Cancel", "Search", "", "house")
    boxes, scores = np.array(BOXES, np.float32), np.linspace(0.9, 0.5, 5, dtype=np.float32)
    return Look("gui_detection", 1000, 800, LABELS, names, boxes, scores, vectors.astype(np.float32))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    decoder = str(save_tiny(tmp_path_factory.mktemp("tiny"), "llama"))
    shape: dict[str, Any] = {"d_encoder": 18, "d_model": 64, "embedding_scale": 0.3, "slots": 2, "words": decoder}
    adapter = AdapterConfig(
        task="gui_detection", reach=1, strides=(), widths=(16,), rates=(1,), steps_per_token=1, **shape
    )
    return Recipe(decoder=decoder, rank=4, prompt_tokens=600, adapters={"gui_detection": adapter}, stages=())


@pytest.mark.parametrize("mode", ["text", "soft", "both"])
def test_training_sees_things_as_production_shows_them(recipe: Recipe, mode: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = Hybrid(recipe.decoder, recipe.rank, {task: Adapter(c) for task, c in recipe.adapters.items()}).float()
    torch.nn.init.normal_(model.adapters["gui_detection"].place[2].weight, std=0.1)  # type: ignore[index]
    export(recipe, dict(model.named_parameters()), tmp_path)
    adapter = load_adapter(str(tmp_path / "detection"))
    model.adapters["gui_detection"].load_state_dict(adapter.state_dict())
    prompter = Prompter(recipe.decoder, recipe.prompt_tokens, recipe.speech_rates)
    seen = detected(look())
    (task, *_) = ask(look(), seen, random.Random(1), ["slider"], mode=mode)
    saying = Saying(prompter.tokens, recipe.slots)
    example = prompter.example([seen], [task], mode)
    assert len(example.soft) == (0 if mode == "text" else 5)  # one soft token each
    batch = batch_of([[example]], 700, 8, recipe.speech_rates, {}, saying)
    with torch.no_grad():
        trained = model.embedded(batch, model.given(batch, None))[0]
    soft = adapter.adapt(seen.features, seen.spans, geometry_of(seen), texts=texts_of(seen))
    fusion = Fusion(DecoderConfig(checkpoint=recipe.decoder, mode=mode, prompt_tokens=600))  # type: ignore[arg-type]
    assert isinstance(seen.result, tuple)
    prompt = fusion.prompt(task.question, None, [Precontext(seen.task, seen.result, "p", soft, pages=seen.pages)])
    embed = model.decoder.model.embed_tokens
    wanted = [
        embed(torch.as_tensor(s.tokens, dtype=torch.long))
        if isinstance(s, TextSegment)
        else torch.tensor(s.vectors, dtype=torch.float32)
        for s in prompt.segments
    ]
    torch.testing.assert_close(trained[: sum(map(len, wanted))], torch.cat(wanted), rtol=2e-3, atol=2e-3)


def test_answers_are_what_the_boxes_say() -> None:
    seen = detected(look())
    told: dict[str, str] = {}
    for seed in range(400):
        for task in ask(look(), seen, random.Random(seed), ["slider"], mode="both"):
            assert task.question is not None and told.setdefault(task.question, task.answer) == task.answer
    assert told["How many buttons are there?"] == "2" and told["Count the sliders."] == "0"
    assert told["Is there an icon?"] == "yes" and told["Was a slider found?"] == "no"
    assert told["Where is the search field?"] == "top center" and told["Where is the slider?"] == REFUSAL
    assert told["What is left of the search field?"] == "button"
    assert told["Which one is the lowest?"] == "table" and told["What is the largest of all?"] == "table"
    assert told["Which is farther left, the icon or the search field?"] == "icon"
    assert told["What is the box of the icon?"] == "(440, 300) to (480, 340)"
    assert told["What does the icon show?"] == "house"
    assert told["What was found?"] == "button; search field; table; icon"
    assert told["How many buttons are in the right half?"] == "0"


def test_looks_travel_in_eight_bits_and_are_shown_in_many_ways(tmp_path: Path) -> None:
    write_looks(tmp_path / "looks.npz", [look(), look()])
    back = read_looks(tmp_path / "looks.npz")
    assert len(back) == 2 and back[1].labels == LABELS and back[0].boxes.tolist() == BOXES
    np.testing.assert_allclose(back[1].vectors, look().vectors, atol=5e-3)
    rng = random.Random(3)
    shown = [view(back[0], 4, rng) for _ in range(200)]
    assert all(2 <= len(one) <= 4 and one.boxes.min() > -0.5 for one in shown)
    assert all((one.boxes[:, 2:] <= np.array([one.width, one.height]) + 1).all() for one in shown)
    labels = {label for one in shown for label in one.labels}
    assert {"button", "Save button", "house icon"} <= labels
    screens = Screens(tmp_path / "looks.npz", rng)
    kinds = {task.kind for mode in ("text", "soft", "both") for _ in range(60) for task in screens.next(mode)[1]}
    assert kinds >= {"screen_count", "screen_where", "screen_layout", "screen_box", "screen_shows", "unanswerable"}


def test_loaders_mix_things_into_batches(recipe: Recipe, tmp_path: Path) -> None:
    write_looks(tmp_path / "looks.npz", [look()])
    stage = Stage(name="things", seconds=1, rows=2, row_tokens=700, screens=1.0, rates=(8,))
    batch = next(iter(Source(recipe, stage, tmp_path, None, None, 0, tmp_path / "looks.npz")))
    (group,) = batch.items["gui_detection"]
    assert batch.things is not None and batch.things.shape == (group.count, 18)
    assert len(batch.soft_at["gui_detection"]) == group.count and group.words is not None
    assert {"screen"} <= {kind.partition("_")[0] for kind in batch.kinds} <= {"screen", "unanswerable"}
