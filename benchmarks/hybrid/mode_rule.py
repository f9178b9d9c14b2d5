"""The rule for the default mode, fixed before the model was trained: per task the mode with the highest accuracy, and
among the modes whose accuracy lies within its 95 % interval the one with the fewest prompt tokens."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.hybrid.outcomes import Figure


def default_mode(figures: Mapping[str, Figure]) -> str | None:
    """The mode that the rule picks of these; None when there are none. Equal prompts: the more accurate mode."""
    if not figures:
        return None

    def accuracy(mode: str) -> float:
        return -figures[mode].value if figures[mode].less_is_better else figures[mode].value

    highest = max(figures, key=accuracy)
    best = figures[highest]
    near = [mode for mode, own in figures.items() if mode == highest or best.low <= own.value <= best.high]
    return min(near, key=lambda mode: (figures[mode].prompt_tokens, -accuracy(mode)))
