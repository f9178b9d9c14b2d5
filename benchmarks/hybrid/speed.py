"""Prompt tokens, time to read a prompt and answers a second in each column, one column at a time.

The same questions about documents that nobody asked about before: only the prompts' common beginning is known, as it
is in a run. Reading is timed alone, question by question, up to the first token; answers all at once. Soft tokens are
there already: making them is the encoder's work, and is timed apart.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from benchmarks.hybrid import documents
from benchmarks.hybrid.asking import Asked
from benchmarks.hybrid.columns import Column
from benchmarks.hybrid.material import Material
from benchmarks.hybrid.perceived import keys
from benchmarks.hybrid.setting import Setting
from benchmarks.hybrid.table import Report
from decoder.answer import AnswerTask
from decoder.sequence import SequenceRequest

SECTION = "speed"
COUNT = 12
FIRST_SEED = 940_000_000
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over questions (prompt, seconds) and over repeats (answers a second)."""

    prompt_tokens: float
    prefill_seconds: float
    prefill_cpu_seconds: float
    answers_per_second: float
    new_tokens: float


def run(setting: Setting, report: Report) -> None:
    """Time every column, in turns."""
    asked = [item for item in documents.questions(material(setting)) if item.schema is None]
    firsts = list({keys(item.inputs): item for item in asked}.values())
    setting.panel.load()
    soften = _soften_seconds(setting, firsts)
    requests = {column.name: _requests(setting, column, firsts) for column in setting.panel.columns}
    measured: dict[str, list[Speed]] = {column.name: [] for column in setting.panel.columns}
    for _ in range(REPEATS):
        for column in setting.panel.columns:
            measured[column.name].append(_measure(setting, column, requests[column.name]))
    speeds = {name: _median(own) for name, own in measured.items()}
    report.extras["speed"] = {name: asdict(own) for name, own in speeds.items()}
    lines = [f"Speed on {setting.device}, {len(firsts)} questions, {REPEATS} repeats in turns, medians:"]
    lines.append(f"{'':12}{'prompt tokens':>15}{'prefill ms':>12}{'ms of CPU':>11}{'answers/s':>11}{'new tokens':>12}")
    for name, own in speeds.items():
        lines.append(
            f"{name:12}{own.prompt_tokens:15.0f}{1000 * own.prefill_seconds:12.0f}"
            f"{1000 * own.prefill_cpu_seconds:11.0f}{own.answers_per_second:11.2f}{own.new_tokens:12.1f}"
        )
    if soften is not None:
        lines.append(f"making the soft tokens of a document takes {1000 * soften:.0f} ms (median), once")
    report.lines.append("\n".join(lines))


def material(setting: Setting) -> list[Material]:
    """Documents that no other row asks about."""
    return documents.held_out(setting, SECTION, FIRST_SEED, COUNT)


def _requests(setting: Setting, column: Column, asked: Sequence[Asked]) -> list[SequenceRequest]:
    answerer, found = setting.panel.answerers[column.name], []
    for item in asked:
        precontext = setting.panel.softener.precontext(item.inputs, column.mode, column.rate)
        prepared = answerer.prepare(AnswerTask(keys(item.inputs), item.question, item.schema, precontext))
        if prepared.request is not None:
            found.append(prepared.request)
    return found


def _measure(setting: Setting, column: Column, requests: Sequence[SequenceRequest]) -> Speed:
    engine = setting.panel.answerers[column.name].engine
    alone, cpu = [], []
    for request in requests:
        started, spent = time.perf_counter(), time.process_time()
        engine.generate([replace(request, max_new_tokens=1)])
        alone.append(time.perf_counter() - started)
        cpu.append(time.process_time() - spent)
    started = time.perf_counter()
    generations = engine.generate(requests)
    seconds = time.perf_counter() - started
    new = [len(generation.tokens) for generation in generations]
    tokens = statistics.median(map(len, requests))
    return Speed(tokens, statistics.median(alone), statistics.median(cpu), len(new) / seconds, statistics.mean(new))


def _median(own: Sequence[Speed]) -> Speed:
    columns = zip(*(asdict(speed).values() for speed in own), strict=True)
    return Speed(*(statistics.median(values) for values in columns))


def _soften_seconds(setting: Setting, asked: Sequence[Asked]) -> float | None:
    if not setting.panel.softener.rates("ocr"):
        return None
    seconds = []
    for item in asked:
        started = time.perf_counter()
        setting.panel.softener.precontext(item.inputs, "soft")
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
