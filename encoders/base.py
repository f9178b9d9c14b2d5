"""What every encoder has in common: the part it is given, the perception it returns, and its life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from encoders.checkpoints.pull import Progress
from encoders.failures import Failure
from encoders.results import Detection, DocumentResult, Page, Speech


@dataclass(frozen=True, slots=True)
class MediaInput:
    """One part, as an encoder receives it: where its encoded bytes are, and which range of them to read.

    Exactly one of ``path`` and ``data`` is given. The range is [start, stop): pages counted from 0 for
    documents and images, seconds for recordings; ``stop`` None means to the end.
    """

    part_id: str
    uri: str  # for messages only
    media_type: str
    path: Path | None = None
    data: bytes | None = None
    start: float = 0
    stop: float | None = None
    password: str | None = field(default=None, repr=False)
    queries: tuple[str, ...] = ()  # phrases to look for instead of the config's; detectors only


@dataclass(frozen=True, slots=True)
class FeatureSpan:
    """Which rows of a perception's features belong to which line, chunk or object (``item``) of which page."""

    item: int
    start: int
    stop: int
    page: int = 1


@dataclass(slots=True)
class Perception:
    """What an encoder read in one part.

    ``features`` is [n, d_encoder] float16, empty unless the config asks for features. ``seconds`` has the
    time of each stage (open, detect, recognise, layout, ...). A perception with failures may still have a result.
    """

    result: DocumentResult | Speech | tuple[Detection, ...] | None
    features: NDArray[np.float16] = field(default_factory=lambda: np.zeros((0, 0), np.float16))
    spans: tuple[FeatureSpan, ...] = ()
    failures: tuple[Failure, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    pages: tuple[Page, ...] = ()  # that were looked at, where the result is not of pages
    networks: frozenset[str] = frozenset()  # of `Encoder.parameters` that ran for it; none for a sound text layer

    @property
    def status(self) -> str:
        """ok, partial (something was read, something was not) or failed."""
        if not self.failures:
            return "ok"
        read = self.result is not None and bool(getattr(self.result, "pages", True))
        return "partial" if read else "failed"


class Encoder(Protocol):
    """A task network. Construct with its config, `load` once, call with parts, `close` at the end.

    A call never raises for bad media or a failing network: it returns one perception per part, in order,
    with failures as values. Loading raises when checkpoints are missing.
    """

    name: ClassVar[str]

    def fetch(self, device: str = "cpu", progress: Progress | None = None) -> None:
        """Have on this machine every checkpoint that `load` reads for that device. Raises `CheckpointError`."""

    def load(self, device: str = "cpu", *, lazily: bool = False) -> None:
        """Load checkpoints onto ``cpu`` or ``cuda[:n]``. ``lazily``: they are here when it returns, but a network that
        not every part needs may wait for the first one that does; if it then cannot be loaded, the call raises
        `CheckpointError`."""

    def __call__(self, parts: Sequence[MediaInput]) -> list[Perception]:
        """Read the parts; one perception each, in the same order."""

    def fingerprint(self) -> str:
        """Hash of what shapes a perception: checkpoints (by sha256) and opening settings. Needs no loading."""

    def parameters(self) -> dict[str, int]:
        """Parameter count of every network that is loaded, by checkpoint name."""

    def close(self) -> None:
        """Free networks and end child processes."""
