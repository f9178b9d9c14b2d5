"""What soft tokens save before anything is trained: their number over that of text tokens, by script and language of
the generated documents, at every rate that an adapter could have. Needs no adapter: a line of n feature rows gives
ceil(n / rate) tokens."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.hybrid import documents
from benchmarks.hybrid.outcomes import Measure, Outcome
from benchmarks.hybrid.perceived import Input
from benchmarks.hybrid.setting import Setting
from benchmarks.hybrid.table import ENCODER, Report
from decoder.fusion import Fusion
from encoders.results import DocumentResult

SECTION = "ratios"
RATES = (8, 16, 24, 32)


def run(setting: Setting, report: Report) -> None:
    """The ratios of the documents that section `documents` asks about."""
    fusion = Fusion(setting.panel.columns[0].config)
    for one in documents.material(setting):
        for item in one.inputs:
            report.add(ENCODER, _ratios(fusion, item, one.sample.language))


def _ratios(fusion: Fusion, item: Input, language: str) -> Iterator[Outcome]:
    """Of each script of a document, at each rate."""
    result = item.perception.result
    assert isinstance(result, DocumentResult)
    lines = {(page.page, number): line for page in result.pages for number, line in enumerate(page.lines)}
    for rate in RATES:
        counts: dict[str, list[int]] = {}
        for span in item.perception.spans:
            line = lines[span.page, span.item]
            own = counts.setdefault(line.script, [0, 0])
            own[0] += -(-(span.stop - span.start) // rate)
            own[1] += len(fusion.tokenizer.encode(line.text + "\n", add_special_tokens=False))
        for script, (soft, text) in counts.items():
            row = f"{SECTION}: {script}, {rate} steps a token"
            yield Outcome(row, Measure.RATIO, soft, item.key, of=text, tags={"language": language})
