"""When someone speaks: silero's probabilities, 31.25 a second, and the regions that they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from encoders.checkpoints.errors import CheckpointError

RATE = 16_000
FRAME = 512  # samples per probability
FRAME_SECONDS = FRAME / RATE
CONTEXT = 64  # samples of the frame before that silero sees with each frame
FFT, HOP, SPECTRA = 256, 128, 4
STRIDES = (1, 2, 2, 1)  # of the convolutions over the four spectra of a frame; the last leaves one vector
WIDTH = 128  # of the recurrence
_BLOCK = 512  # frames computed together: bounds memory and stays in the cache

Samples = NDArray[np.int16]
Heard = tuple[NDArray[np.float32], NDArray[np.float32]]
"""The probabilities [n] of frames, and the state [2, 128] of the recurrence behind them."""


class Activity(Protocol):
    """See `ActivityNetwork`."""

    together: int  # frames of a stream that it likes to hear at once; fewer are heard at its end

    def hear(self, samples: Samples, state: NDArray[np.float32]) -> Heard:
        """Of the n frames of [64 + n * 512] samples at 16 kHz, the first 64 from before them; ``state`` is [2, 128]."""

    def parameters(self) -> int:
        """How many parameters the network has."""


class ActivityNetwork:
    """Silero VAD (MIT) from the exported ``sequence`` form, as few products of large matrices and a recurrence.

    ONNX Runtime convolves each frame's four spectra by themselves and takes twice the time. Runs on the CPU,
    beside CUDA too where no process on the card computes it (`encoders.speech.device_activity`).
    """

    together = 1

    def __init__(self, path: Path) -> None:
        graph = onnx.load(str(path)).graph
        weights = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
        self._parameters: int = sum(weight.numel() for weight in weights.values())
        try:
            recurrent = [weights[name][0] for node in graph.node if node.op_type == "LSTM" for name in node.input[1:4]]
            # A Fourier transform under a window; the row of frequency 0 is the window.
            self.window = weights["stft.forward_basis_buffer"][0, 0]
            self.convolutions = [
                (weights[f"encoder.{index}.weight"].permute(2, 1, 0).contiguous(), weights[f"encoder.{index}.bias"])
                for index in range(len(STRIDES))
            ]
            self.recurrence = _recurrence(*recurrent)
            self.out, self.out_bias = weights["output.weight"][0, :, 0], weights["output.bias"]
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is not silero's network in its sequence form: {error!r}") from error

    def parameters(self) -> int:
        """How many parameters the network has."""
        return self._parameters

    @torch.inference_mode()
    def hear(self, samples: Samples, state: NDArray[np.float32]) -> Heard:
        """See `Activity`."""
        held = torch.from_numpy(samples.astype(np.float32) / np.float32(32768.0))
        frames = held.unfold(0, FRAME + CONTEXT, FRAME)
        hidden, cell = torch.from_numpy(state)[:, None, None]
        probabilities = np.empty(len(frames), np.float32)
        for first in range(0, len(frames), _BLOCK):
            some = self._features(frames[first : first + _BLOCK])[:, None]
            shown, (hidden, cell) = self.recurrence(some, (hidden, cell))
            spoken = torch.sigmoid(torch.relu(shown[:, 0]) @ self.out + self.out_bias)
            probabilities[first : first + len(spoken)] = spoken.numpy()
        return probabilities, np.concatenate([hidden[0].numpy(), cell[0].numpy()])

    def _features(self, frames: torch.Tensor) -> torch.Tensor:
        """[n, 128]. Between the convolutions positions are the outer dimension, so that each is one matrix."""
        windows = frames.new_empty(SPECTRA, len(frames), FFT)
        for at, window in enumerate(windows):
            piece = frames[:, at * HOP : at * HOP + FFT]
            torch.mul(piece, self.window[: piece.shape[1]], out=window[:, : piece.shape[1]])
        over = FFT - piece.shape[1]  # samples behind a frame are those before its end, mirrored
        torch.mul(frames[:, -over - 1 : -1].flip(1), self.window[-over:], out=window[:, -over:])
        hidden = torch.from_numpy(np.abs(torch.fft.rfft(windows).numpy()))  # three times as fast as torch's
        for (weight, bias), stride in zip(self.convolutions, STRIDES):
            hidden = _convolved(hidden, weight, bias, stride)
        return hidden[0]


def _convolved(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, stride: int) -> torch.Tensor:
    """A convolution of three taps over positions padded with zeros: [positions, n, in] to [fewer, n, out]."""
    centres = range(0, len(hidden), stride)
    made = hidden.new_empty(len(centres), hidden.shape[1], len(bias))
    for at, out in zip(centres, made):
        torch.addmm(bias, hidden[at], weight[1], out=out)
        if at > 0:
            out.addmm_(hidden[at - 1], weight[0])
        if at + 1 < len(hidden):
            out.addmm_(hidden[at + 1], weight[2])
    return made.relu_()


def _recurrence(inputs: torch.Tensor, hidden: torch.Tensor, biases: torch.Tensor) -> nn.LSTM:
    """ONNX's weights [4 * width, ...] as torch's: gates are in another order."""

    def ordered(gates: torch.Tensor) -> torch.Tensor:
        entry, out, forget, cell = gates.chunk(4)
        return torch.cat([entry, forget, cell, out])

    network = nn.LSTM(inputs.shape[1], hidden.shape[1])
    bias, hidden_bias = map(ordered, biases.chunk(2))
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    network.load_state_dict(dict(zip(names, (ordered(inputs), ordered(hidden), bias, hidden_bias))))
    return network.eval()


@dataclass(slots=True)
class ActivityStream:
    """Keeps the recurrent state of one channel of one recording, so that audio may come in any pieces."""

    network: Activity
    state: NDArray[np.float32] = field(default_factory=lambda: np.zeros((2, WIDTH), np.float32))
    rest: Samples = field(default_factory=lambda: np.zeros(CONTEXT, np.int16))
    """Context of the next frame, and its start."""
    _waiting: list[Samples] = field(default_factory=list)  # until there are enough of them for the network

    def push(self, samples: Samples, last: bool = False) -> list[tuple[Samples, NDArray[np.float32]]]:
        """The pieces that are heard by now, as they came, each with the speech probability of every frame that it has
        completed. With ``last`` all are, and the rest is padded to a frame."""
        self._waiting.append(samples)
        sizes = list(accumulate(map(len, self._waiting), initial=len(self.rest) - CONTEXT))
        if not last and sizes[-1] < self.network.together * FRAME:
            return []
        pieces, self._waiting = self._waiting, []
        counts = [size // FRAME for size in sizes]
        held = np.concatenate([self.rest, *pieces])
        if last:
            counts[-1] = -(-sizes[-1] // FRAME)
            held = np.pad(held, (0, counts[-1] * FRAME - sizes[-1]))
        self.rest = held[counts[-1] * FRAME :].copy()
        probabilities = np.zeros(0, np.float32)
        if counts[-1]:
            probabilities, self.state = self.network.hear(held[: counts[-1] * FRAME + CONTEXT], self.state)
        return [(piece, probabilities[first:stop]) for piece, (first, stop) in zip(pieces, pairwise(counts))]


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
