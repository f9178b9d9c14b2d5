"""When someone speaks: silero's probabilities, 31.25 a second, and the regions that they make."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

RATE = 16_000
FRAME = 512  # samples per probability
FRAME_SECONDS = FRAME / RATE
_CONTEXT = 64  # samples of the frame before that silero sees with each frame
_BLOCK = 512  # frames in one ONNX call: bounds memory, costs nothing measurable


class ActivityNetwork:
    """Silero VAD as one ONNX call per block of frames (the exported ``sequence`` form; MIT)."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._parameters: int = sum(math.prod(weight.dims) for weight in onnx.load(str(path)).graph.initializer)

    def parameters(self) -> int:
        """How many parameters the network has."""
        return self._parameters

    def listen(self) -> ActivityStream:
        """A fresh stream, for one channel of one recording."""
        return ActivityStream(self._session)


@dataclass(slots=True)
class ActivityStream:
    """Keeps the recurrent state of one stream, so that audio may come in any pieces."""

    session: onnxruntime.InferenceSession
    hidden: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 1, 128), np.float32))
    cell: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 1, 128), np.float32))
    context: NDArray[np.float32] = field(default_factory=lambda: np.zeros(_CONTEXT, np.float32))
    rest: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def push(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Speech probability of every frame that is complete; with ``last`` the rest is padded to a frame."""
        samples = np.concatenate([self.rest, samples])
        if last and samples.size % FRAME:
            samples = np.pad(samples, (0, FRAME - samples.size % FRAME))
        whole = samples.size // FRAME
        self.rest = samples[whole * FRAME :].copy()
        frames = samples[: whole * FRAME].reshape(whole, FRAME)
        return np.concatenate([np.zeros(0, np.float32), *self._probabilities(frames)])

    def _probabilities(self, frames: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        for first in range(0, len(frames), _BLOCK):
            block = frames[first : first + _BLOCK]
            contexts = np.concatenate([self.context[None], block[:-1, -_CONTEXT:]])
            self.context = block[-1, -_CONTEXT:].copy()
            values, self.hidden, self.cell = self.session.run(
                None, {"input": np.concatenate([contexts, block], 1), "h": self.hidden, "c": self.cell}
            )
            yield values.reshape(-1)


@dataclass(slots=True)
class RegionFinder:
    """Turns probabilities, as they come, into regions of speech [start, stop) in frames.

    A region opens at ``threshold``, closes after ``silence`` frames below ``threshold - 0.15``, is dropped when
    it has fewer than ``shortest`` frames, and is cut at its last pause when it grows past ``longest``.
    """

    threshold: float = 0.5
    silence: int = 5
    shortest: int = 3
    longest: int | None = None
    _frame: int = 0
    _start: int | None = None
    _quiet_since: int | None = None
    _pause: tuple[int, int] | None = None  # the last pause of >= 3 frames inside the open region

    def push(self, probabilities: NDArray[np.float32]) -> list[tuple[int, int]]:
        """The regions that closed within these frames."""
        closed: list[tuple[int, int]] = []
        for probability in probabilities.tolist():
            self._step(probability, closed)
            self._frame += 1
        return closed

    def finish(self) -> list[tuple[int, int]]:
        """The region still open at the end, if any."""
        closed: list[tuple[int, int]] = []
        if self._start is not None:
            self._close(self._frame if self._quiet_since is None else self._quiet_since, closed)
        return closed

    def _step(self, probability: float, closed: list[tuple[int, int]]) -> None:
        if self._start is None:
            if probability >= self.threshold:
                self._start, self._quiet_since, self._pause = self._frame, None, None
            return
        if probability >= self.threshold:
            if self._quiet_since is not None and self._frame - self._quiet_since >= 3:
                self._pause = (self._quiet_since, self._frame)
            self._quiet_since = None
        elif probability < self.threshold - 0.15 and self._quiet_since is None:
            self._quiet_since = self._frame
        if self._quiet_since is not None and self._frame - self._quiet_since >= self.silence:
            self._close(self._quiet_since, closed)
        elif self.longest is not None and self._frame - self._start >= self.longest:
            self._cut(closed)

    def _cut(self, closed: list[tuple[int, int]]) -> None:
        """End a region that is too long at its last pause, or here when it has none."""
        stop, resume = self._pause or (self._frame, self._frame)
        quiet_since = self._quiet_since
        self._close(stop, closed)
        self._start, self._quiet_since, self._pause = resume, quiet_since, None

    def _close(self, stop: int, closed: list[tuple[int, int]]) -> None:
        assert self._start is not None
        if stop - self._start >= self.shortest:
            closed.append((self._start, stop))
        self._start = self._quiet_since = self._pause = None

    @property
    def open_since(self) -> int:
        """First frame that a later region may still begin at: audio before it is no longer needed."""
        return self._frame if self._start is None else self._start
