"""Voice activity on a card: a dozen operations for minutes of sound, and one kernel for what goes frame by frame."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import cycle, repeat
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.speech.activity import CONTEXT, FFT, FRAME, HOP, SPECTRA, STRIDES, WIDTH, ActivityNetwork, Heard, Samples
from encoders.transfers import Fetch, to_card

_STREAMS = 4
"""On which recordings are heard beside each other and beside whisper. With its two they are no more than a card has
queues by default: of streams that share one, each holds up the rest."""
_TOLERANCE = 1e-3  # of a probability

_LOG = logging.getLogger(__name__)


class Sound(NamedTuple):
    """What is heard next of a stream, on the device."""

    samples: Tensor  # [64 + n * 512] int16
    state: Tensor  # [2, 128] float32
    stream: torch.cuda.Stream | None


class DeviceActivity:
    """Silero's network as few large products. All that is linear in a frame's four spectra is one matrix, and so is
    each convolution over them: the zeros in these cost a card nothing, and every kernel costs a core."""

    def __init__(self, network: ActivityNetwork, device: str) -> None:
        self._device = torch.device(device)
        self._parameters = network.parameters()
        self._recur = recur
        self._streams: Iterator[torch.cuda.Stream | None] = repeat(None)
        if self._device.type == "cuda":
            from encoders.speech import activity_kernel

            self._recur = activity_kernel.recur
            self._streams = cycle([torch.cuda.Stream(device) for _ in range(_STREAMS)])
        self._spectra = _spectra(network.window).to(device)
        self._layers, positions = [], SPECTRA
        for (weight, bias), stride in zip(network.convolutions, STRIDES):
            matrix = _banded(weight, positions, stride)
            positions = matrix.shape[1] // len(bias)
            self._layers.append((matrix.to(device), bias.repeat(positions).to(device)))
        own = {name: weight.detach() for name, weight in network.recurrence.named_parameters()}
        self._entry = own["weight_ih_l0"].T.contiguous().to(device)
        self._entry_bias = (own["bias_ih_l0"] + own["bias_hh_l0"]).to(device)
        self._recurrent = own["weight_hh_l0"].view(4, WIDTH, WIDTH).transpose(1, 2).contiguous().to(device)
        self._out, self._out_bias = network.out.contiguous().to(device), network.out_bias.to(device)

    def upload(self, samples: Samples, state: NDArray[np.float32]) -> Sound:
        """What `Activity.hear` is given, on the device: all that the host has to do for it."""
        stream = next(self._streams)
        with _on(stream):
            return Sound(to_card(samples, self._device), to_card(state, self._device), stream)

    @torch.inference_mode()
    def begin(self, sound: Sound) -> Callable[[], Heard]:
        """Hear it, beside what others compute; what is returned waits for it."""
        with _on(sound.stream):
            gates = self._gates(sound.samples)
            coming = Fetch(*self._recur(gates, self._recurrent, sound.state, self._out, self._out_bias))

        def heard() -> Heard:
            chances, behind = coming.wait()
            return chances, behind

        return heard

    def parameters(self) -> int:
        """How many parameters the network has."""
        return self._parameters

    def _gates(self, samples: Tensor) -> Tensor:
        """[n, 512] of the recurrence, as far as they do not depend on the frames before."""
        frames = samples.unfold(0, FRAME + CONTEXT, FRAME) * (1 / 32768)
        hidden = torch.view_as_complex((frames @ self._spectra).unflatten(1, (-1, 2))).abs()
        for matrix, bias in self._layers:
            hidden = torch.addmm(bias, hidden, matrix).relu_()
        return torch.addmm(self._entry_bias, hidden, self._entry)


def _on(stream: torch.cuda.Stream | None) -> AbstractContextManager[Any]:
    return nullcontext() if stream is None else torch.cuda.stream(stream)


def recur(gates: Tensor, weights: Tensor, state: Tensor, out: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrence, and the probability of each frame: gates [n, 4 * width] (entry, forget, fresh, shown), weights
    [4, width before, width after], state [2, width] (hidden, cell), out [width], bias [1] to [n] and the state behind.
    """
    hidden, cell = state
    chances = torch.empty(len(gates), device=gates.device)
    for at, row in enumerate(gates):
        entry, forget, fresh, shown = row.view(4, -1) + hidden @ weights
        cell = forget.sigmoid() * cell + entry.sigmoid() * fresh.tanh()
        hidden = shown.sigmoid() * cell.tanh()
        chances[at] = torch.sigmoid(hidden.relu() @ out + bias[0])
    return chances, torch.stack([hidden, cell])


def _spectra(window: Tensor) -> Tensor:
    """[576, 4 * 129 * 2]: the Fourier transforms under a window of a frame's four stretches, real and imaginary parts
    in turn. Samples behind the frame are those before its end, mirrored."""
    length = FRAME + CONTEXT
    waves = torch.fft.rfft(torch.diag(window.double()))
    made = torch.zeros(length, SPECTRA, FFT // 2 + 1, 2, dtype=torch.float64)
    for at in range(SPECTRA):
        for own, wave in enumerate(torch.view_as_real(waves)):
            place = at * HOP + own
            made[place if place < length else 2 * (length - 1) - place, at] += wave
    return made.flatten(1).float()


def _banded(weight: Tensor, positions: int, stride: int) -> Tensor:
    """A convolution of three taps [3, in, out] over positions padded with zeros, as [positions * in, fewer * out]."""
    centres = range(0, positions, stride)
    made = weight.new_zeros(positions, weight.shape[1], len(centres), weight.shape[2])
    for at, centre in enumerate(centres):
        for tap in range(3):
            if 0 <= centre + tap - 1 < positions:
                made[centre + tap - 1, :, at] = weight[tap]
    return made.flatten(2).flatten(0, 1)


def on_device(network: ActivityNetwork, device: str) -> DeviceActivity | None:
    """Voice activity there, if it is what the network computes here; what speaks against it is logged."""
    try:
        made = DeviceActivity(network, device)
        compare(network, made)
    except Exception as error:  # no compiler, another Triton, a card that it does not know
        _LOG.warning("voice activity is computed by the actors, not on %s: %s", device, error)
        return None
    return made


def compare(network: ActivityNetwork, made: DeviceActivity) -> None:
    """Raise RuntimeError where the two differ, over noise that comes and goes."""
    draw = np.random.default_rng(0)
    loudness = np.repeat(10.0 ** draw.uniform(1, 4, 20), 2 * FRAME)
    samples = (draw.normal(size=CONTEXT + len(loudness)) * np.pad(loudness, (CONTEXT, 0))).clip(-32768, 32767)
    told = samples.astype(np.int16), draw.normal(0, 0.3, (2, WIDTH)).astype(np.float32)
    for ours, wanted in zip(made.begin(made.upload(*told))(), network.hear(*told)):
        if not np.abs(ours - wanted).max() < _TOLERANCE:
            raise RuntimeError(f"it differs by {np.abs(ours - wanted).max():.2g} from what a core computes")
