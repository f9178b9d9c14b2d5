"""Reading through soft tokens alone: a few printed lines in faces that training never saw, held-out prose and random
words and numbers apart, at every rate of the adapter; beside it what the recogniser itself reads.

English is made of WordNet's sentences and words where `setting.TEXTS` is there, else of our own patterns alone.
Character error: edits over characters of the truth, with runs of white space as one space; case counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.hybrid.asking import Asked
from benchmarks.hybrid.drawn import read
from benchmarks.hybrid.outcomes import Measure, Outcome
from benchmarks.hybrid.perceived import Input
from benchmarks.hybrid.prompt_lengths import lengths
from benchmarks.hybrid.setting import TEXTS, Setting
from benchmarks.hybrid.table import ENCODER, Report
from benchmarks.word_errors import edits
from decoder.answer import Answer
from encoders.results import DocumentResult
from pipelines.train.hybrid.reading import lines
from pipelines.train.hybrid.samples import READ_ALOUD, Sample

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
    if setting.vocabulary is None:
        report.lines.append(f"reading: without {TEXTS}, so only sentences of our own patterns")
    for kind, random_words in KINDS.items():
        seeds = range(FIRST_SEED, FIRST_SEED + setting.count(COUNT))
        samples = [
            lines(seed, setting.faces, vocabulary=setting.vocabulary, held_out=True, random_words=random_words)
            for seed in seeds
        ]
        inputs = [own for (own,) in read(setting.ocr, samples, f"{SECTION} {kind}")]
        for rate in rates:
            row = f"{SECTION}: {kind}, {rate} steps a token"
            asked = [_asked(row, rate, *pair) for pair in zip(samples, inputs, strict=True)]
            for reply in setting.panel.ask(asked, row, [column])[column]:
                report.add(column, reply.outcomes)
            report.add(ENCODER, (_recognised(row, *pair) for pair in zip(samples, inputs, strict=True)))
            report.add(column, lengths(setting, f"{row}: soft / text tokens", rate, inputs))
    setting.ocr.close()


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
