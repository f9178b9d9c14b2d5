"""Whisper's encoder in torch, from samples to what decoders hear, and which language it is in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from torch.nn.functional import gelu

from encoders.speech.languages import LanguageStep
from encoders.static_cache import GraphedStep
from encoders.transfers import to_card

SAMPLES, FRAMES = 480_000, 3000
_HOP, _FFT = 160, 400
_AT_ONCE = 8
"""Windows of a recorded pass. Fewer fill a card less, of more a larger part is filling."""


class Uploaded(NamedTuple):
    """Windows on the device."""

    samples: torch.Tensor  # [n, 480,000] float32, silent behind their ends
    lengths: list[int]


class WindowEncoder:
    """On CUDA the passes are recorded and replayed, so many windows at a time: launching the 320 kernels that they
    take keeps a thread busy for longer than the card, and with one shape a window's sums are the same in any company.
    ``network`` is a transformers `WhisperForConditionalGeneration`."""

    def __init__(self, network: Any, languages: LanguageStep | None, at_once: int | None = None) -> None:
        """``at_once``: windows of a pass, in place of what the device likes."""
        self._encoder = network.model.encoder
        weight = self._encoder.conv1.weight
        self._device, self._dtype = weight.device, weight.dtype
        filters = FeatureExtractor.get_mel_filters(16_000, _FFT, network.config.num_mel_bins)
        self._filters = torch.from_numpy(filters.astype(np.float32)).to(self._device)
        self._hann = torch.hann_window(_FFT, device=self._device)
        if at_once is None and self._device.type == "cuda":
            at_once = _AT_ONCE
        self._encode = _Batched(self._encoded, at_once, self._device)
        self._hear = _Batched(languages, at_once, self._device) if languages else None

    @torch.inference_mode()
    def record(self) -> None:
        """Record the passes on CUDA; done by the first call otherwise."""
        if self._device.type == "cuda":
            self.hear(self(Uploaded(torch.zeros(1, SAMPLES, device=self._device), [SAMPLES])))

    @torch.inference_mode()
    def __call__(self, uploaded: Uploaded) -> torch.Tensor:
        """What is heard [n, 1500, d] of windows."""
        lengths = to_card(np.array([length // _HOP + 1 for length in uploaded.lengths]), self._device)
        return self._encode(uploaded.samples, lengths)

    @torch.inference_mode()
    def hear(self, encoded: torch.Tensor) -> torch.Tensor | None:
        """Probabilities [n, languages] of windows [n, 1500, d]; nothing waits for them here. None of a network that
        knows one language."""
        return None if self._hear is None else self._hear(encoded)

    def _encoded(self, samples: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        encoder = self._encoder
        hidden = gelu(encoder.conv2(gelu(encoder.conv1(self._mels(samples, frames).to(self._dtype)))))
        # As the network spells it out, the numbers of a frame lie apart from here on, and a quarter of its time goes
        # into copies.
        hidden = hidden.transpose(1, 2).contiguous() + encoder.embed_positions.weight
        for layer in encoder.layers:
            hidden = layer(hidden, None)
        normed: torch.Tensor = encoder.layer_norm(hidden)
        return normed

    def _mels(self, samples: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Log-mels [n, bands, 3000] as faster-whisper makes them: zero behind each window's own ``frames`` [n]."""
        spectrum = torch.stft(samples, _FFT, _HOP, window=self._hann, return_complex=True)[..., :-1]
        mels = (self._filters @ spectrum.abs().square()).clamp_min(1e-10).log10()
        own = torch.arange(FRAMES, device=self._device)[None, None] < frames[:, None, None]
        peak = torch.where(own, mels, -10.0).amax((1, 2), keepdim=True)
        return torch.where(own, (torch.maximum(mels, peak - 8.0) + 4.0) / 4.0, 0.0)


class _Batched:
    """A function of tensors [n, ...], of which each row of what it returns depends on the same row of theirs: over
    ``at_once`` rows always, which on CUDA the first call records, or over as many as there are."""

    def __init__(self, function: Callable[..., torch.Tensor], at_once: int | None, device: torch.device) -> None:
        self._function, self._at_once, self._device = function, at_once, device
        self._step: GraphedStep | None = None
        self._given: list[torch.Tensor] = []
        self._found = torch.empty(0)

    def __call__(self, *given: torch.Tensor) -> torch.Tensor:
        size = self._at_once
        if size is None:
            return self._function(*given)
        if self._step is None:
            self._given = [tensor.new_zeros(size, *tensor.shape[1:]) for tensor in given]
            self._run()  # for the shape of what it finds, which on CUDA is recorded below
            step = GraphedStep(self._run, lambda: None, self._device)
            step.record()
            self._step = step
        found = self._found.new_empty(len(given[0]), *self._found.shape[1:])
        for part, *some in zip(found.split(size), *(tensor.split(size) for tensor in given)):
            for place, rows in zip(self._given, some):
                place[: len(part)] = rows
            self._step()
            part.copy_(self._found[: len(part)])
        return found

    def _run(self) -> None:
        self._found = self._function(*self._given)
