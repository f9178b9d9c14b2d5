"""The table's columns: which decoder reads, and what of the perceptions it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.hybrid.perceived import Input
from decoder.config import DecoderConfig
from decoder.precontext import Precontext
from encoders.adapters.base import Adapter
from encoders.adapters.checkpoint import load_adapter
from encoders.adapters.geometry import geometry_of
from encoders.adapters.soft import SoftTokens
from encoders.adapters.words import texts_of

Mode = Literal["text", "soft", "both"]
MODES: tuple[Mode, ...] = ("text", "soft", "both")
ZERO_SHOT = "zero-shot"


@dataclass(frozen=True, slots=True)
class Column:
    """A name, a decoder's checkpoint, a mode, and the feature rows a soft token (None: the adapter's own)."""

    name: str
    checkpoint: str
    mode: Mode
    rate: int | None = None

    @property
    def config(self) -> DecoderConfig:
        """As production asks, but for bounds of memory: nobody else is served here, and what was read of a document is
        kept for the next question about it."""
        return DecoderConfig(
            checkpoint=self.checkpoint, mode=self.mode, max_waiting=1 << 20, prefix_cache_bytes=1 << 29
        )


def columns(baseline: str, checkpoint: str | None, modes: Sequence[str]) -> list[Column]:
    """The untrained decoder in text mode (none for ""), then the trained one in each mode. "soft@16": of 16 feature
    rows a soft token. Raises ValueError for what is no mode."""
    found = [Column(ZERO_SHOT, baseline, "text")] if baseline else []
    for name in modes:
        mode, _, rate = name.partition("@")
        if mode not in MODES or (rate and not rate.isdigit()):
            raise ValueError(f"{name} is no mode; say some of {', '.join(MODES)}, or soft@16 for 16 steps a token")
        if checkpoint is not None:
            found.append(Column(name, checkpoint, mode, int(rate) if rate else None))
    return found


class Softener:
    """Makes soft tokens of inputs with the adapters of their tasks, once for each input and rate."""

    def __init__(self, adapters: Mapping[str, str], device: str = "cpu", decoder: str | None = None) -> None:
        """``decoder``: whose words the adapters use, in place of the one that they name."""
        self._adapters: dict[str, Adapter] = {
            task: load_adapter(ref, device, decoder) for task, ref in adapters.items()
        }
        if "gui_detection" in self._adapters:  # one for both detectors
            self._adapters.setdefault("object_detection", self._adapters["gui_detection"])
        self._made: dict[tuple[str, int | None], SoftTokens] = {}

    def rates(self, task: str) -> tuple[int, ...]:
        """The feature rows a token that the adapter of a task can be asked for; none without an adapter."""
        return self._adapters[task].config.rates if task in self._adapters else ()

    def soft(self, item: Input, rate: int | None = None) -> SoftTokens | None:
        """The soft tokens of an input; None without an adapter, or without features. An adapter that cannot be asked
        for the rate (a recording's for that of print) emits what it usually does."""
        adapter, perception = self._adapters.get(item.name), item.perception
        if adapter is None or not len(perception.features):
            return None
        rate = rate if rate in adapter.config.rates else None
        if (item.key, rate) not in self._made:
            geometry = geometry_of(perception)
            self._made[item.key, rate] = adapter.adapt(
                perception.features, perception.spans, geometry, rate, texts_of(perception)
            )
        return self._made[item.key, rate]

    def precontext(self, inputs: Sequence[Input], mode: Mode, rate: int | None = None) -> tuple[Precontext, ...]:
        """Inputs as the decoder receives them in a mode."""
        found = []
        for item in inputs:
            result = item.perception.result
            assert result is not None
            soft = None if mode == "text" else self.soft(item, rate)
            found.append(Precontext(item.name, result, item.key, soft, pages=item.perception.pages))
        return tuple(found)
