"""Voices as vectors: Resemblyzer's GE2E speaker encoder in plain torch (Apache-2.0), over windows of 1.6 s."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from torch import nn

from encoders.speech.activity import RATE

_FFT, _HOP, _BANDS = 400, 160, 40
_LOUDNESS = 10 ** (-30 / 20)  # the root mean square that the network was trained at
_BATCH = 32
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


class VoiceEncoder:
    """Embeds windows inside regions of speech."""

    def __init__(self, folder: Path, *, window: float, hop: float, device: str = "cpu") -> None:
        self._network = _load(folder).to(device)
        self._device = device
        self._window, self._hop = window, hop
        filters = FeatureExtractor.get_mel_filters(RATE, _FFT, _BANDS)  # the same Slaney filters as librosa's
        self._filters = filters.astype(np.float32)

    def __call__(self, samples: NDArray[np.float32], start: float) -> VoiceWindows:
        """Windows of one region: [n] float32 samples that begin at ``start`` seconds.

        Windows never leave the region: one that runs over its end hears the next speaker or silence.
        """
        mels = self._mels(samples)
        length, step = round(self._window * 100), round(self._hop * 100)
        firsts = list(range(0, max(1, len(mels) - length + 1), step))
        if firsts[-1] + length < len(mels):
            firsts.append(len(mels) - length)
        short, length = len(mels) < length, min(length, len(mels))
        if short:  # said over and over: embeddings of short windows are like each other's, whoever speaks
            windows = np.resize(mels, (1, round(self._window * 100), _BANDS))
        else:
            windows = np.stack([mels[first : first + length] for first in firsts])
        spans = np.array([(start + first / 100, start + (first + length) / 100) for first in firsts])
        return VoiceWindows(spans, self._embed(windows))

    def parameters(self) -> int:
        """How many parameters the network has."""
        return sum(parameter.numel() for parameter in self._network.parameters())

    def _embed(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        batches = [windows[at : at + _BATCH] for at in range(0, len(windows), _BATCH)]
        with torch.inference_mode():
            embeddings = [self._network(torch.from_numpy(batch).to(self._device)).cpu() for batch in batches]
        return np.asarray(torch.cat(embeddings).numpy())

    def _mels(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mel power, not its logarithm, [frames, 40], at the loudness that the network knows."""
        loudness = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0
        samples = samples * np.float32(_LOUDNESS / max(loudness, 1e-6))
        padded = np.pad(samples, _FFT // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
        window = np.hanning(_FFT + 1)[:-1].astype(np.float32)
        power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
        return np.asarray(power.astype(np.float32) @ self._filters.T)


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
