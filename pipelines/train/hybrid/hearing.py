"""Whisper's encoder on the training device: recordings in, features out."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch.nn import functional
from transformers import WhisperConfig
from transformers.audio_utils import mel_filter_bank
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from encoders.checkpoints.resolve import resolve

_FFT, _HOP = 400, 160
_TOGETHER = 8  # windows; always as many, because a GPU plans anew for every number


class Ears:
    """The default speech checkpoint's encoder, frozen. The checkpoint's folder may hold the encoder's weights alone."""

    def __init__(self, device: torch.device) -> None:
        from safetensors.torch import load_file

        folder = resolve("speech", variant="torch")
        config = WhisperConfig.from_pretrained(folder)
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        prefix = "model.encoder."
        weights = load_file(folder / "model.safetensors")
        network: Any = WhisperEncoder(config)
        network.load_state_dict({n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)})
        self._network = network.eval().requires_grad_(False).to(device, dtype)
        filters = mel_filter_bank(
            num_frequency_bins=_FFT // 2 + 1,
            num_mel_filters=config.num_mel_bins,
            min_frequency=0.0,
            max_frequency=8000.0,
            sampling_rate=16_000,
            norm="slaney",
            mel_scale="slaney",
        )
        self._filters = torch.from_numpy(filters).float().to(device)
        self._window = torch.hann_window(_FFT, device=device)
        self._dtype = dtype

    @torch.inference_mode(False)
    @torch.no_grad()
    def __call__(self, audio: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
        """Windows [n, 480000] int16, of which the first ``samples`` [n] count, to features [n, 1500, d]. Behind a
        window's end the log-mels are zero, as the engines that read recordings pad them."""
        count = len(audio)
        audio = functional.pad(audio, (0, 0, 0, -count % _TOGETHER))
        samples = functional.pad(samples, (0, -count % _TOGETHER))
        with torch.autocast(audio.device.type, enabled=False):
            mels = self.mels(audio.float() / 32768)
            inside = torch.arange(mels.shape[-1], device=mels.device) * _HOP < samples[:, None]
            mels = mels * inside[:, None]
            found = [self._network(part.to(self._dtype)).last_hidden_state for part in mels.split(_TOGETHER)]
        return cast(torch.Tensor, torch.cat(found)[:count])

    def mels(self, samples: torch.Tensor) -> torch.Tensor:
        """Samples [n, 480000] in -1..1 to whisper's log-mels [n, bands, 3000]."""
        spectrum = torch.stft(samples, _FFT, _HOP, window=self._window, return_complex=True)[..., :-1].abs() ** 2
        mels = (self._filters.T @ spectrum).clamp(min=1e-10).log10()
        loudest = mels.amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(mels, loudest - 8) + 4) / 4
