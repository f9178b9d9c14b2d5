"""Chats without a document: generated, answered by a tiny decoder, learnt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from benchmarks.hybrid.chats import EVERYDAY
from decoder.config import DecoderConfig
from decoder.fusion import Fusion
from decoder.sequence import TextSegment
from pipelines.train.hybrid.chats.answer import Answering
from pipelines.train.hybrid.chats.chat import Chat, read_chats, write_chats
from pipelines.train.hybrid.chats.prompts import chats
from pipelines.train.hybrid.chats.words import english, others, part
from pipelines.train.hybrid.recipe import Stage
from pipelines.train.hybrid.source import Source
from tests.decoder.tiny import save_tiny
from tests.train.test_hybrid import hybrid, recipe_of


def test_chats_are_many_and_the_same_for_the_same_seed() -> None:
    found = chats(400, 1)
    assert found == chats(400, 1) and len(found) == 400
    assert {one.kind for one in found} >= {*english()["kinds"], *others(), "documentless"}
    assert any(one.then for one in found) and any(one.turns[0]["role"] == "system" for one in found)
    for one in found:
        said = " ".join([turn["content"] for turn in one.turns] + list(one.then))
        assert one.turns[-1]["role"] == "user" and not re.search(r"\{\w*\}", said), said


def test_the_evaluation_has_other_wordings_than_the_training() -> None:
    def asked(held_out: bool) -> set[str]:
        found = chats(300, 1, held_out=held_out)
        return {turn["content"] for one in found for turn in one.turns if one.kind != "documentless"}

    assert not {*asked(True), *EVERYDAY} & asked(False)
    options = [str(number) for number in range(23)]
    assert sorted([*part(options, True), *part(options, False)], key=int) == options


def test_chats_that_the_base_answered_are_learnt(tmp_path: Path) -> None:
    torch.manual_seed(3)
    base = str(save_tiny(tmp_path / "tiny", "llama"))
    asked = [
        Chat("talk", ({"role": "user", "content": "Hello"},), ("Why is that?",)),
        Chat("know", ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a ship?"})),
        Chat("know", ({"role": "user", "content": "What is the name of the company that built the harbour?"},)),
    ]
    answering = Answering(base, "cpu", 8, 12)
    alone = [answering.all([one])[0] for one in asked[::2]]  # both greedily, and without padding
    together = answering.all(asked)
    assert [one.answer for one in together if one.turns in (asked[0].turns, asked[2].turns)] == [
        one.answer for one in alone
    ]
    with pytest.raises(ValueError, match="without an answer"):
        write_chats(asked, tmp_path / "asked.gz")
        read_chats(tmp_path / "asked.gz", answered=True)
    write_chats(together, tmp_path / "answered.gz")
    assert read_chats(tmp_path / "answered.gz", answered=True) == together

    recipe = recipe_of(Path(base))
    stage = Stage(name="x", seconds=1, rows=2, row_tokens=256, chats=1.0, weights={"chat": 0.5})
    batch = next(iter(Source(recipe, stage, tmp_path, None, tmp_path / "answered.gz", 0)))
    assert batch.kinds == ("chat",) and set(batch.weight.tolist()) == {0.5}
    target = torch.full(batch.tokens.shape, -100)
    target.view(-1)[batch.learns] = batch.answers
    fusion = Fusion(DecoderConfig(checkpoint=base))
    wanted = []
    for one in together:
        (segment,) = fusion.chat(one.turns, None, (), 1024).segments
        assert isinstance(segment, TextSegment)
        wanted.append([*segment.tokens.tolist(), *one.answer])
    for row, example, learnt in zip(batch.tokens, batch.example, target):
        for number in range(int(example.max()) + 1):
            tokens = row[example == number].tolist()
            assert tokens in wanted
            answer = together[wanted.index(tokens)].answer
            assert [token for token in learnt[example == number].tolist() if token >= 0] == list(answer)
    model = hybrid(recipe)
    assert batch.taught_at is not None and batch.taught_share is not None
    assert batch.taught_at.tolist() == list(range(len(batch.learns)))
    assert ((batch.taught_share.sum(-1) > 0.1) & (batch.taught_share.sum(-1) < 1.001)).all()
    for layer in model.layers.values():
        torch.nn.init.zeros_(layer.b)  # the base itself: nothing is nearer to what it found likely
    share = batch.taught_share
    rest = (1 - share.sum(-1)).clamp(min=1e-6)
    least = -(share * share.log()).sum(-1) - rest * rest.log()
    torch.testing.assert_close(model.losses(batch, model.given(batch, None)), least, rtol=0.02, atol=0.02)
    assert torch.isfinite(model.losses(batch, model.given(batch, None))).all()
