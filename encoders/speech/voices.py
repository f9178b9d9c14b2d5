"""Voices as vectors: Resemblyzer's GE2E speaker encoder in plain torch (Apache-2.0), over windows of 1.6 s."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from torch import nn

from encoders.failures import is_out_of_memory
from encoders.speech.activity import RATE
from encoders.transfers import Fetch, to_card

_FFT, _HOP, _BANDS = 400, 160, 40
_LOUDNESS = 10 ** (-30 / 20)  # the root mean square that the network was trained at
_BATCH, _CUDA_BATCH = 32, 256  # windows: a step of the recurrence takes a card hardly longer for many than for few
_MEAN = Path(__file__).with_name("voice_mean.safetensors")


class SpeakerNetwork(nn.Module):
    """Three LSTM layers and a projection: mel frames [b, t, 40] to unit vectors [b, 256] without negative entries."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_BANDS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        """Embed a batch."""
        last = self.lstm(mels)[1][0][-1]
        return nn.functional.normalize(torch.relu(self.linear(last)), dim=1)


@dataclass(slots=True)
class VoiceWindows:
    """Voices of consecutive windows: ``spans`` [n, 2] seconds of the part, ``embeddings`` [n, 256] unit length."""

    spans: NDArray[np.float64]
    embeddings: NDArray[np.float32]


class Voices(Protocol):
    """See `VoiceEncoder`."""

    seconds: float  # of speech that fill a batch

    def __call__(self, regions: Sequence[tuple[NDArray[np.float32], float]]) -> list[VoiceWindows]:
        """Windows of each region, given as its [n] samples and the second that they begin at."""

    def parameters(self) -> int:
        """How many parameters the network has."""


class Sounds(NamedTuple):
    """Regions on the device, one behind the other."""

    samples: torch.Tensor  # [n] float32, each region at the loudness that the network knows
    sizes: list[int]  # samples of each
    begins: list[int]  # the frame at which each begins


class VoiceEncoder:
    """Embeds windows inside regions of speech, those of many regions at once; spectra too are made on ``device``."""

    def __init__(self, folder: Path, *, window: float, hop: float, device: str = "cpu") -> None:
        self._network = _load(folder).to(device)
        self._device = torch.device(device)
        self._window, self._hop = round(window * 100), round(hop * 100)  # in frames
        self._batch = _BATCH if self._device.type == "cpu" else _CUDA_BATCH
        self.seconds = self._batch * hop  # of speech that fill a batch
        filters = FeatureExtractor.get_mel_filters(RATE, _FFT, _BANDS)  # the same Slaney filters as librosa's
        self._filters = torch.from_numpy(filters.astype(np.float32)).T.to(device)
        self._hann = torch.hann_window(_FFT, device=device)

    def __call__(self, regions: Sequence[tuple[NDArray[np.float32], float]]) -> list[VoiceWindows]:
        """Windows of each region, given as its [n] samples and the second that they begin at."""
        sounds = self.upload([samples for samples, _ in regions])
        found: list[VoiceWindows] = self.begin(sounds, [start for _, start in regions])()
        return found

    def upload(self, pieces: Sequence[NDArray[np.float32]]) -> Sounds:
        """Regions on the device: all that the host has to do for them."""
        sizes = [len(samples) // _HOP + 1 + _FFT // _HOP for samples in pieces]  # in hops, with room for the last frame
        begins = [0, *np.cumsum(sizes).tolist()]
        joined = np.zeros(begins[-1] * _HOP + _FFT, np.float32)
        for samples, begin in zip(pieces, begins):
            loudness = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0
            at = begin * _HOP + _FFT // 2
            joined[at : at + len(samples)] = samples * np.float32(_LOUDNESS / max(loudness, 1e-6))
        return Sounds(to_card(joined, self._device), [len(samples) for samples in pieces], begins[:-1])

    @torch.inference_mode()
    def begin(self, sounds: Sounds, starts: Sequence[float]) -> Callable[[], list[VoiceWindows]]:
        """Windows of each region, which begins at so many seconds; what is returned waits for them.

        Windows never leave a region: one that runs over its end hears the next speaker or silence. A region shorter
        than a window is said over and over: embeddings of short windows are like each other's, whoever speaks.
        """
        placed = [self._place(size // _HOP + 1) for size in sounds.sizes]
        rows = [(begin + first, size) for begin, (firsts, size) in zip(sounds.begins, placed) for first in firsts]
        coming = self._embed(self._mels(sounds.samples), to_card(np.array(rows), self._device))

        def found() -> list[VoiceWindows]:
            (embeddings,) = coming.wait()
            heard, at = [], 0
            for start, (firsts, size) in zip(starts, placed):
                spans = np.array([(start + first / 100, start + (first + size) / 100) for first in firsts])
                heard.append(VoiceWindows(spans, embeddings[at : at + len(firsts)]))
                at += len(firsts)
            return heard

        return found

    def parameters(self) -> int:
        """How many parameters the network has."""
        return sum(parameter.numel() for parameter in self._network.parameters())

    def _place(self, frames: int) -> tuple[list[int], int]:
        """First frames of the windows of a region of so many frames, and how many of them are its own."""
        firsts = list(range(0, max(1, frames - self._window + 1), self._hop))
        if firsts[-1] + self._window < frames:
            firsts.append(frames - self._window)
        return firsts, min(self._window, frames)

    def _embed(self, mels: torch.Tensor, rows: torch.Tensor) -> Fetch:
        """Windows that begin at ``rows[:, 0]`` and repeat after ``rows[:, 1]`` frames, [n, 256]."""
        places = torch.arange(self._window, device=self._device)
        while True:
            try:
                some = (mels[one[:, :1] + places % one[:, 1:]] for one in rows.split(self._batch))
                return Fetch(torch.cat([self._network(windows) for windows in some]))
            except Exception as error:
                if self._batch == 1 or not is_out_of_memory(error):
                    raise
            self._batch //= 2  # outside the handler: the error's traceback holds on to what filled the memory

    def _mels(self, samples: torch.Tensor) -> torch.Tensor:
        """Mel power, not its logarithm, [frames, 40]. Frames that lie across two regions are nobody's."""
        frames = samples.unfold(0, _FFT, _HOP)
        spectra = torch.view_as_real(torch.fft.rfft(frames * self._hann))
        return spectra.square().sum(-1) @ self._filters


@cache
def voice_mean() -> NDArray[np.float32]:
    """Mean [256] of many voices, near and far: what is left without it tells them apart better.

    All entries of an embedding are positive, so that any two are alike. Made by ``pipelines/train/speaker/mean.py``.
    """
    from safetensors.numpy import load_file

    return np.asarray(load_file(str(_MEAN))["mean"], np.float32)


def centred(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Voices [n, 256] without what all voices share, at unit length."""
    apart = embeddings - voice_mean()
    return np.asarray(apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-9))


def _load(folder: Path) -> SpeakerNetwork:
    from safetensors.torch import load_file

    network = SpeakerNetwork()
    network.load_state_dict(load_file(str(next(iter(sorted(folder.glob("*.safetensors")))))))
    network.eval()
    return network
