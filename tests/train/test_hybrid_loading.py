"""What the loaders of the hybrid model's training make of perceived samples."""

from __future__ import annotations

import copy
import gzip
import json
import pickle
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from decoder.config import DecoderConfig
from decoder.fusion import Fusion
from decoder.precontext import Precontext
from decoder.sequence import TextSegment
from encoders.adapters.soft import SoftTokens
from encoders.base import FeatureSpan
from pipelines.train.hybrid.batches import batch_of
from pipelines.train.hybrid.cuts import cut
from pipelines.train.hybrid.evidence import answered
from pipelines.train.hybrid.examples import Examples
from pipelines.train.hybrid.items import Saying
from pipelines.train.hybrid.parcels import mapped
from pipelines.train.hybrid.perceived import Perceived
from pipelines.train.hybrid.prompts import Heard, Prompter
from pipelines.train.hybrid.recipe import Recipe, Stage
from pipelines.train.hybrid.samples import PagePlan, PrintedLine, Sample, Task, Turn
from pipelines.train.hybrid.schedule import factor
from pipelines.train.hybrid.source import collate, filled
from pipelines.train.hybrid.speech.utterances import TRAINING
from pipelines.train.hybrid.tokenizing import QuickTokenizer
from pipelines.train.hybrid.transcripts import Transcripts, some_of, timed, transcript
from pipelines.train.hybrid.warp import Warp
from pipelines.train.script.render import Face
from tests.decoder.tiny import save_tokenizer
from tests.train.test_hybrid import page, recording


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    loaded: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(folder)
    return loaded


@pytest.mark.parametrize("mode", ["text", "soft", "both"])
def test_lines_cut_one_by_one_ask_for_what_each_says(tokenizer: PreTrainedTokenizerFast, mode: str) -> None:
    printed = ("The total amount", "of the invoice is 12.50", "Sea Ltd", "never read", "tea")
    face = Face(Path("a.ttf"))
    tops = (200, 280, 360, 400, 440)  # the page was read at half the size that it was printed in
    lines = tuple(PrintedLine(text, (200, top, 900, top + 60), face, 40) for text, top in zip(printed, tops))
    whole = Task("read", "What does it say?", None, " ".join(printed))
    sample = Sample(7, "lines", "en", "prose", ((PagePlan(2000, 2800, lines),),), (), (whole,))
    prompter = Prompter(tokenizer.name_or_path, 300, {"ocr": 2, "speech_to_text": 5})
    parts = list(cut(Perceived(sample, (page(),)), 1))
    assert [part.sample.tasks[0].answer for part in parts] == [text for text in printed if text != "never read"]
    for part, steps in zip(parts, (5, 9, 4, 6)):
        (perception,) = part.documents
        example = prompter.example([perception], part.sample.tasks, mode, 2)
        assert len(example.soft) == (0 if mode == "text" else -(-steps // 2))
        shown = tokenizer.decode([token for token in example.prefix if token >= 0])
        assert [text in shown for text in printed] == [
            mode != "soft" and text == part.sample.tasks[0].answer for text in printed
        ]
        batch = batch_of([[example]], 300, 2, prompter.rates, {})
        at = perception.spans[0].start
        assert mode == "text" or np.array_equal(batch.features.numpy(), page().features[at : at + steps])
    pairs = [part.sample.tasks[0].answer for part in cut(Perceived(sample, (page(),)), 2)]
    assert pairs == ["The total amount of the invoice is 12.50", "Sea Ltd tea"]


@pytest.mark.parametrize("mode", ["text", "soft", "both"])
def test_prompts_are_those_of_the_real_fusion(tokenizer: PreTrainedTokenizerFast, mode: str) -> None:
    """Token by token, for branches that share a prompt and for one alone, though another tokenizer is asked."""
    prompter = Prompter(tokenizer.name_or_path, 300, {"ocr": 2, "speech_to_text": 5})
    fusion = Fusion(DecoderConfig(checkpoint=tokenizer.name_or_path, mode=mode, prompt_tokens=300))  # type: ignore[arg-type]
    schema = '{"type": "object", "properties": {"total": {"type": "string"}}}'
    plain = [Task("field", question, None, "12.50") for question in ("What is <|im_end|> due?", "Who?", "Say  it\n")]
    one, two = page(), recording()
    for tasks in (plain, plain[1:2], [Task("json", None, schema, "{}"), Task("json", "As JSON.", schema, "{}")]):
        example = prompter.example([one, two], tasks, mode, 4)
        assert len(example.branches) == len(tasks)
        soft = SoftTokens(np.arange(8, dtype=np.int32)[:, None], tuple(_at(0, (2, 3, 1, 2))))  # type: ignore[arg-type]
        said = SoftTokens(np.arange(8, 24, dtype=np.int32)[:, None], tuple(_at(0, (7, 9))))  # type: ignore[arg-type]
        assert one.result is not None
        context = [Precontext("ocr", one.result, "0", soft), Precontext("speech_to_text", two.speech, "1", said)]
        for task, branch in zip(tasks, example.branches):
            wanted: list[int] = []
            for segment in fusion.prompt(task.question, task.schema, context).segments:
                text = isinstance(segment, TextSegment)
                wanted += segment.tokens.tolist() if text else [-1 - n for (n,) in segment.vectors.tolist()]
            assert example.prefix + branch.question == wanted
            assert branch.answer == tokenizer.encode(task.answer, add_special_tokens=False) + prompter._end


def _at(start: int, counts: tuple[int, ...]) -> Iterator[FeatureSpan]:
    for item, count in enumerate(counts):
        yield FeatureSpan(item, start, start + count)
        start += count


def test_a_template_that_changes_what_is_said_is_asked_every_time(tokenizer: PreTrainedTokenizerFast) -> None:
    turns = [{"role": "user", "content": " a <b>"}, {"role": "assistant", "content": "c "}]
    tokenizer = copy.deepcopy(tokenizer)
    for template in (str(tokenizer.chat_template), TRIMS):
        tokenizer.chat_template = template
        quick = QuickTokenizer(tokenizer)
        for answer in (True, False):
            wanted = tokenizer.apply_chat_template(turns, add_generation_prompt=answer, tokenize=False)
            for _ in range(2):
                assert quick.apply_chat_template(turns, add_generation_prompt=answer, tokenize=False) == wanted


TRIMS = "{% for turn in messages %}{{ turn.role }}: {{ turn.content | trim }}\n{% endfor %}"


def test_a_batch_arrives_as_it_was_packed(tokenizer: PreTrainedTokenizerFast) -> None:
    """Through another process, in one stretch of memory; filled up with rows and items that change nothing."""
    prompter = Prompter(tokenizer.name_or_path, 300, {"ocr": 2, "speech_to_text": 5})
    example = prompter.example([page(), recording()], [Task("field", "Who?", None, "12.50")], "both", 4)
    batch = batch_of(filled([[example]], 3), 480, 4, prompter.rates, {}, Saying(prompter.tokens, {"ocr": 2}))
    assert batch.tokens.shape == (3, 480) and (batch.example[1:] == -1).all()
    (parcel,) = DataLoader([batch], collate_fn=collate, num_workers=1, multiprocessing_context="fork")
    arrived = parcel.to(torch.device("cpu"))
    assert arrived.kinds == batch.kinds and arrived.rate == 4
    seen: list[torch.Tensor] = []
    mapped(batch, lambda one: seen.append(one))
    mapped(arrived, lambda one: torch.testing.assert_close(one, seen.pop(0)) if torch.is_tensor(one) else seen.pop(0))
    assert not seen
    lines = arrived.items["ocr"][0]
    assert lines.count == 4 and len(lines.lengths) == 64 and not lines.lengths[4:].any()
    assert lines.words is not None and lines.words.shape == (64, 8, 2)  # of lines of up to 32 steps
    assert (lines.words[:4] >= 0).any(dim=(1, 2)).all() and (lines.words[4:] == -1).all()


def test_a_bent_page_keeps_its_middle_and_its_columns() -> None:
    """A row sinks at its ends and not at its middle; nothing moves sideways; half of the pages are flat."""
    corners = np.array([[0, 100], [100, 100], [50, 120], [0, 120]], np.float32)
    bent = Warp(turn=0.01, bend=0.02).bent(corners, 100, 200)
    np.testing.assert_allclose(bent[:, 0], corners[:, 0])
    np.testing.assert_allclose(bent[:, 1] - corners[:, 1], [1, 3, 0, 1], atol=1e-4)
    rng = np.random.default_rng(0)
    assert 60 < sum(Warp.of(rng) == Warp() for _ in range(200)) < 140


def test_what_was_misread_is_not_asked_for() -> None:
    asked = [
        Task("field", "How much?", None, "12.50"),
        Task("field", "How much?", None, "12.58"),
        Task("copy", "Which words?", None, "Total  Amount"),
        Task("unanswerable", "IBAN?", None, "not in the document"),
        Task("compare", "Is it more?", None, "yes"),
        Task("json", None, "{}", '{"total": "12.50", "iban": null, "seller": {"name": "Sea Ltd"}}'),
        Task("json", None, "{}", '{"total": "12.58", "rows": [{"name": "tea"}]}'),
    ]
    assert answered(asked, [page()]) == [asked[0], *asked[2:6]]


def test_a_transcript_is_cut_as_production_cuts_speech() -> None:
    rng = random.Random(3)
    said = "Good morning. You have reached Diamond Motors, my name is Ann."
    turns = timed([Turn("SPEAKER_01", said), Turn("SPEAKER_00", "I need three desks.")], rng)
    speech = transcript(turns, rng)
    assert [chunk.text for chunk in speech.chunks] == ["Good morning.", said[14:], "I need three desks."]
    assert [chunk.speaker for chunk in speech.chunks] == ["SPEAKER_00", "SPEAKER_00", "SPEAKER_01"]
    assert speech.chunks[0].end == speech.chunks[1].start < speech.chunks[1].end <= speech.chunks[2].start
    cut_out, task = some_of(Heard((), (), speech), 1, rng)
    assert (task.answer,) == tuple(chunk.text for chunk in cut_out.speech.chunks)
    assert cut_out.speech.chunks[0].speaker == "SPEAKER_00"


def test_transcripts_need_no_sound(tmp_path: Path) -> None:
    with gzip.open(tmp_path / TRAINING, "wt", encoding="utf-8") as stream:
        for number, text in enumerate(("The ship left at noon.", "He sold a harp.")):
            line = {"key": f"read/{number}", "turn": 0, "speaker": "", "text": text, "phonemes": []}
            stream.write(json.dumps(line) + "\n")
    made = list(islice(Transcripts(tmp_path).alone(random.Random(1)), 40))
    read = [heard.speech.text for (heard,), tasks in made if len(tasks) == 1]
    assert any("The ship left at noon." in text for text in read) and len(read) < len(made)
    for (heard,), tasks in made:
        assert not heard.windows and heard.speech.chunks and all(task.answer for task in tasks)
        assert heard.speech.duration < 60 and heard.speech.text.split() == [
            word for chunk in heard.speech.chunks for word in chunk.text.split()
        ]


def test_lines_are_read_aloud_in_modes_of_their_own(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    samples = [
        Sample(1, "lines", "en", "prose", tasks=(Task("read", "Read.", None, "Sea Ltd"),)),
        Sample(2, "letter", "en", "plain", tasks=(Task("field", "Who?", None, "Sea Ltd"),)),
    ]
    (tmp_path / "0.samples").write_bytes(pickle.dumps([Perceived(sample, (page(),)) for sample in samples]))
    stage = Stage(name="x", seconds=1, modes={"text": 1.0}, line_modes={"soft": 1.0})
    prompter = Prompter(tokenizer.name_or_path, 300, {"ocr": 2, "speech_to_text": 5})
    recipe = Recipe(decoder=tokenizer.name_or_path, adapters={}, stages=(stage,))
    examples = Examples(recipe, stage, prompter, tmp_path, None, None, random.Random(1))
    made = [examples.next(2) for _ in range(12)]
    assert {(one.branches[0].kind, bool(one.soft)) for one in made} == {("read", True), ("field", False)}


def test_no_step_of_a_stage_is_for_nothing() -> None:
    for warmup in (0.0, 0.03, 0.1):
        rates = [factor(step / 400, warmup) for step in range(400)]
        peak = rates.index(max(rates))
        assert rates[0] >= 0.1 and rates[-1] > 0 and abs(peak - 400 * warmup) <= 1
        assert rates == [*sorted(rates[: peak + 1]), *sorted(rates[peak + 1 :], reverse=True)]
    assert factor(1.0, 0.1) == 0
