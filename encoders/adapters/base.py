"""What every adapter has in common: features and where they were seen in, soft tokens out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from encoders.adapters.soft import SoftTokens
from encoders.base import FeatureSpan

GEOMETRY = 6  # numbers per item, see encoders.adapters.geometry


class AdapterConfig(BaseModel):
    """Shape of an adapter. ``embedding_scale`` is the root mean square of the decoder's token embeddings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    d_encoder: int = Field(ge=1)
    d_model: int = Field(ge=1)
    embedding_scale: float = Field(gt=0)
    steps_per_token: int = Field(8, ge=1, description="feature rows that become one soft token")
    d_hidden: int = Field(256, ge=8)


class Adapter(nn.Module):
    """Features [n, d_encoder] of items (lines, chunks, objects) to soft tokens [m, d_model].

    A convolution sees neighbouring rows of the same item, every ``steps_per_token`` rows fold into one token, the
    item's geometry and a learned task embedding are added, and the result has the scale of token embeddings: a
    decoder that meets vectors of another norm than its own reads nothing in them.
    """

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.config = config
        steps, hidden = config.steps_per_token, config.d_hidden
        self.norm = nn.LayerNorm(config.d_encoder)
        self.convolution = nn.Conv1d(config.d_encoder, hidden, kernel_size=5, padding=2)
        self.fold = nn.Linear(hidden * steps, config.d_model)
        self.geometry = nn.Linear(GEOMETRY, config.d_model)
        self.task = nn.Parameter(torch.zeros(config.d_model))

    def forward(self, rows: torch.Tensor, geometry: torch.Tensor) -> torch.Tensor:
        """Rows [n, d_encoder] and geometry [6] of one item to soft tokens [ceil(n / steps), d_model]."""
        steps = self.config.steps_per_token
        hidden = torch.nn.functional.gelu(self.convolution(self.norm(rows).T[None]))[0].T
        hidden = torch.nn.functional.pad(hidden, (0, 0, 0, -len(hidden) % steps))
        tokens = self.fold(hidden.reshape(-1, steps * self.config.d_hidden)) + self.geometry(geometry) + self.task
        scale = tokens.square().mean(dim=-1, keepdim=True).add(1e-6).rsqrt()
        return cast(torch.Tensor, tokens * scale * self.config.embedding_scale)

    @torch.inference_mode()
    def adapt(
        self, features: NDArray[np.float16], spans: Sequence[FeatureSpan], geometry: NDArray[np.float32]
    ) -> SoftTokens:
        """Features [n, d_encoder], the span of each item and its geometry [len(spans), 6] to soft tokens for travel."""
        device = self.task.device
        pieces: list[NDArray[np.float16]] = []
        found: list[FeatureSpan] = []
        start = 0
        for span, place in zip(spans, geometry, strict=True):
            if span.stop <= span.start:
                continue
            rows: Any = torch.tensor(features[span.start : span.stop], dtype=torch.float32, device=device)
            tokens = self(rows, torch.tensor(place, dtype=torch.float32, device=device))
            pieces.append(tokens.cpu().numpy().astype(np.float16))
            found.append(FeatureSpan(span.item, start, start + len(tokens), span.page))
            start += len(tokens)
        vectors = np.concatenate(pieces) if pieces else np.zeros((0, self.config.d_model), np.float16)
        return SoftTokens(vectors, tuple(found))
