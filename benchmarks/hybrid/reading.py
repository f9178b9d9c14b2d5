"""Reading through soft tokens alone: a few printed lines in faces that training never saw, held-out prose and random
words and numbers apart, at every rate of the adapter; beside it what the recogniser itself reads.

Whether soft tokens are looked at at all: the loss of the right text, natural logarithm a token, after its own features,
after those of other lines in the same places, after none (zeros: places alone), and after the recogniser's text.

English is made of WordNet's sentences and words where `setting.TEXTS` is there, else of our own patterns alone.
Character error: edits over characters of the truth, with runs of white space as one space; case counts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.hybrid.asking import Asked
from benchmarks.hybrid.drawn import read
from benchmarks.hybrid.losses import AnswerLosses
from benchmarks.hybrid.material import Material
from benchmarks.hybrid.outcomes import Measure, Outcome
from benchmarks.hybrid.perceived import Input
from benchmarks.hybrid.prompt_lengths import lengths
from benchmarks.hybrid.setting import TEXTS, Setting
from benchmarks.hybrid.table import ENCODER, Report
from decoder.answer import Answer
from decoder.config import DecoderConfig
from decoder.fusion import Fusion
from encoders.results import DocumentResult
from pipelines.train.hybrid.documents import sentences
from pipelines.train.hybrid.documents.sentences import collected
from pipelines.train.hybrid.reading import lines
from pipelines.train.hybrid.samples import READ_ALOUD, Sample
from pipelines.train.word_errors import edits

SECTION = "reading"
COUNT = 40  # of prose and of random words each
FIRST_SEED = 910_000_000
LONGEST = 400  # tokens of an answer: eight lines of digits
KINDS = {"prose": False, "random": True}


def run(setting: Setting, report: Report) -> None:
    """Have the first soft column read aloud at every rate."""
    column = next((column.name for column in setting.panel.columns if column.mode == "soft"), None)
    rates = setting.panel.softener.rates("ocr")
    if column is None or not rates:
        report.lines.append("reading: left out, for there is no adapter of ocr or soft is not among the modes")
        return
    config = next(own.config for own in setting.panel.columns if own.name == column)
    losses = AnswerLosses(config, setting.device)
    for kind in KINDS:
        found = material(setting, kind)
        samples, inputs = [one.sample for one in found], [one.inputs[0] for one in found]
        for rate in rates:
            row = f"{SECTION}: {kind}, {rate} steps a token"
            asked = [_asked(row, rate, *pair) for pair in zip(samples, inputs, strict=True)]
            for reply in setting.panel.ask(asked, row, [column])[column]:
                report.add(column, reply.outcomes)
            report.add(ENCODER, (_recognised(row, *pair) for pair in zip(samples, inputs, strict=True)))
            report.add(column, lengths(setting, f"{row}: soft / text tokens", rate, inputs))
            for what, own in _variants(inputs).items():
                report.add(column, _told(setting, losses, config, f"{row}: loss, {what}", samples, own, rate))
        in_text = config.model_copy(update={"mode": "text"})
        report.add("text", _told(setting, losses, in_text, f"{SECTION}: {kind}: loss, text", samples, inputs, None))


def _variants(inputs: Sequence[Input]) -> dict[str, list[Input]]:
    """Inputs with their own features, with those of others, and with none, in the same places."""

    def with_features(name: str, item: Input, features: NDArray[np.float16]) -> Input:
        return Input(item.name, f"{item.key}, {name}", replace(item.perception, features=features))

    shapes = [item.perception.features.shape for item in inputs]
    others = [np.resize(inputs[n - 1].perception.features, shape) for n, shape in enumerate(shapes)]
    return {
        "own features": list(inputs),
        "features of others": [with_features("others", *pair) for pair in zip(inputs, others, strict=True)],
        "no features": [
            with_features("none", item, np.zeros(shape, np.float16)) for item, shape in zip(inputs, shapes, strict=True)
        ],
    }


def _told(
    setting: Setting,
    losses: AnswerLosses,
    config: DecoderConfig,
    row: str,
    samples: Sequence[Sample],
    inputs: Sequence[Input],
    rate: int | None,
) -> Iterator[Outcome]:
    """The loss of what stands there, by sample."""
    fusion, softener = Fusion(config), setting.panel.softener
    mode = config.mode_of("ocr")
    prompts = [fusion.prompt(READ_ALOUD[0], None, softener.precontext([item], mode, rate)) for item in inputs]
    answers = [fusion.tokenizer.encode(sample.tasks[0].answer, add_special_tokens=False) for sample in samples]
    found = losses.of([prompt.segments for prompt in prompts], answers)
    for sample, item, prompt, answer, loss in zip(samples, inputs, prompts, answers, found, strict=True):
        tags = {"language": sample.language}
        yield Outcome(row, Measure.LOSS, loss, item.key, len(answer), len(prompt), tags)


def material(setting: Setting, kind: str) -> list[Material]:
    """Printed lines of prose or of random words and numbers."""

    def make() -> list[Material]:
        if setting.vocabulary is None:
            print(f"reading: without {TEXTS}, so only sentences of our own patterns", file=sys.stderr)
        if KINDS[kind] is False and not collected("fr", held_out=True):
            print(
                f"reading: {sentences.TEXTS} has no other languages (run documents.fetch_texts), so their prose is one "
                "sentence over and over, which asks for counting and not for reading",
                file=sys.stderr,
            )
        seeds = range(FIRST_SEED, FIRST_SEED + setting.count(COUNT))
        samples = [
            lines(seed, setting.faces, vocabulary=setting.vocabulary, held_out=True, random_words=KINDS[kind])
            for seed in seeds
        ]
        return read(setting.ocr, samples, f"{SECTION} {kind}")

    return setting.material(f"{SECTION}-{kind}", make)


def _asked(row: str, rate: int, sample: Sample, item: Input) -> Asked:
    truth = sample.tasks[0].answer
    tags = {"language": sample.language}

    def judge(answer: Answer) -> Sequence[Outcome]:
        return [error(row, answer.text, truth, item.key, tags)]

    return Asked((item,), READ_ALOUD[0], None, judge, rate, LONGEST)


def _recognised(row: str, sample: Sample, item: Input) -> Outcome:
    result = item.perception.result
    assert isinstance(result, DocumentResult)
    text = " ".join(line.text for page in result.pages for line in page.lines)
    return error(row, text, sample.tasks[0].answer, item.key, {"language": sample.language})


def error(row: str, text: str, truth: str, unit: str, tags: dict[str, str]) -> Outcome:
    """Characters that are wrong."""
    given, wanted = " ".join(text.split()), " ".join(truth.split())
    return Outcome(row, Measure.ERROR, edits(wanted, given), unit, of=len(wanted), tags=tags)
