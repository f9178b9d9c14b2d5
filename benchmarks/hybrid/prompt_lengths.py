"""How long inputs are in a prompt as soft tokens, against as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.hybrid.outcomes import Measure, Outcome
from benchmarks.hybrid.perceived import Input
from benchmarks.hybrid.setting import Setting
from decoder.fusion import Fusion
from pipelines.train.hybrid.samples import READ_ALOUD


def lengths(setting: Setting, row: str, rate: int, inputs: Sequence[Input]) -> Iterator[Outcome]:
    """Tokens that an input takes as soft tokens over those that it takes as text, the frame of the prompt aside."""
    softener = setting.panel.softener
    column = next(column for column in setting.panel.columns if column.mode == "soft")
    soft, text = (Fusion(column.config.model_copy(update={"mode": mode})) for mode in ("soft", "text"))
    frame = len(text.prompt(READ_ALOUD[0], None, ()))
    for item in inputs:
        many = len(text.prompt(READ_ALOUD[0], None, softener.precontext([item], "text"))) - frame
        few = len(soft.prompt(READ_ALOUD[0], None, softener.precontext([item], "soft", rate))) - frame
        yield Outcome(row, Measure.RATIO, few, item.key, of=many)
