"""Speech: read aloud through soft tokens alone by voices that training may have left out (two folds), what whisper
itself hears beside it; calls with questions about who said what; calls with a page, whose questions need both.

Word error: edits over words of the truth, case and punctuation aside, numbers in words as figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.hybrid.asking import Asked
from benchmarks.hybrid.judged import asked_of
from benchmarks.hybrid.material import Material
from benchmarks.hybrid.outcomes import Measure, Outcome
from benchmarks.hybrid.perceived import Input
from benchmarks.hybrid.prompt_lengths import lengths
from benchmarks.hybrid.setting import Setting
from benchmarks.hybrid.table import ENCODER, Report
from decoder.answer import Answer
from encoders.results import Speech
from pipelines.train.hybrid.samples import READ_ALOUD, Sample
from pipelines.train.hybrid.speech.evaluation import evaluation_calls, evaluation_pairs, evaluation_recordings
from pipelines.train.word_errors import edits, normalised

TASK = "speech_to_text"
FRAMES = 50  # of features a second
WINDOWS, CALLS, PAIRS = 20, 20, 30  # windows of each fold
FOLDS = ("A", "B")
LONGEST = 250  # tokens of half a minute of speech


def aloud(setting: Setting, report: Report) -> None:
    """Have the first soft column write down what is read aloud, by both groups of voices."""
    column = next((column.name for column in setting.panel.columns if column.mode == "soft"), None)
    rates = setting.panel.softener.rates(TASK)
    if column is None or not rates:
        report.lines.append("aloud: left out, for speech_to_text has no adapter or soft is not among the modes")
        return
    for fold in FOLDS:
        windows = voices(setting, fold)
        inputs = [own for one in windows for own in one.inputs]
        truths = [" ".join(turn.text for turn in one.sample.recordings[0]) for one in windows]
        for rate in rates:
            row = f"aloud: words, voices {fold}, {rate / FRAMES:.2g} s a token"
            asked = [_read_aloud(row, rate, *pair) for pair in zip(truths, inputs, strict=True)]
            for reply in setting.panel.ask(asked, row, [column])[column]:
                report.add(column, reply.outcomes)
            report.add(column, lengths(setting, f"{row}: soft / text tokens", rate, inputs))
            report.add(ENCODER, (_heard(row, *pair) for pair in zip(truths, inputs, strict=True)))


def calls(setting: Setting, report: Report) -> None:
    """Ask about calls. Raises FileNotFoundError when none was synthesised, as the others do."""
    _ask("calls", called(setting), setting, report)


def pairs(setting: Setting, report: Report) -> None:
    """Ask about calls that belong to a page."""
    _ask("pairs", paired(setting), setting, report)


def voices(setting: Setting, fold: str) -> list[Material]:
    """Windows of held-out sentences by the voices that a fold leaves out."""

    def make() -> list[Material]:
        windows = evaluation_recordings(setting.speech_folder, fold)[: setting.count(WINDOWS)]
        return _heard_of(
            setting,
            [(Sample(index, "aloud", "en", fold, recordings=(turns,)), [path])
             for index, (turns, path) in enumerate(windows)],
            f"voices {fold}",
        )  # fmt: skip

    return setting.material(f"voices-{fold}", make)


def called(setting: Setting) -> list[Material]:
    """Calls."""

    def make() -> list[Material]:
        return _heard_of(setting, evaluation_calls(setting.speech_folder)[: setting.count(CALLS)], "calls")

    return setting.material("calls", make)


def paired(setting: Setting) -> list[Material]:
    """Calls with a page."""

    def make() -> list[Material]:
        found = evaluation_pairs(setting.speech_folder, setting.fonts)[: setting.count(PAIRS)]
        return _heard_of(setting, found, "pairs")

    return setting.material("pairs", make)


def _heard_of(setting: Setting, samples: Sequence[tuple[Sample, list[Path]]], what: str) -> list[Material]:
    """Recordings, each alone or with a page; of every other pair the page comes first."""
    heard = setting.speech.read((("audio/wav", paths[0].read_bytes()) for _, paths in samples), what)
    setting.speech.close()
    pages = [paths[1] for _, paths in samples if len(paths) > 1]
    seen = iter(setting.ocr.read((("image/png", page.read_bytes()) for page in pages), what) if pages else ())
    found = []
    for index, ((sample, paths), recording) in enumerate(zip(samples, heard, strict=True)):
        inputs = (recording, next(seen)) if len(paths) > 1 else (recording,)
        found.append(Material(sample, inputs[::-1] if index % 2 else inputs))
    if pages:
        setting.ocr.close()
    return found


def _ask(section: str, materials: Sequence[Material], setting: Setting, report: Report) -> None:
    asked: list[Asked] = []
    for one in materials:
        tags = {"kind": one.sample.kind, "language": one.sample.language}
        asked += asked_of(section, one.sample.tasks, one.inputs, tags)
    for column, replies in setting.panel.ask(asked, section).items():
        report.add(column, (outcome for reply in replies for outcome in reply.outcomes))


def _read_aloud(row: str, rate: int, truth: str, item: Input) -> Asked:
    def judge(answer: Answer) -> Sequence[Outcome]:
        return [error(row, answer.text, truth, item.key)]

    return Asked((item,), READ_ALOUD[0], None, judge, rate, LONGEST)


def _heard(row: str, truth: str, item: Input) -> Outcome:
    result = item.perception.result
    assert isinstance(result, Speech)
    return error(row, result.text, truth, item.key)


def error(row: str, text: str, truth: str, unit: str) -> Outcome:
    """Words that are wrong."""
    wanted = normalised(truth)
    return Outcome(row, Measure.ERROR, edits(wanted, normalised(text)), unit, of=len(wanted))
