"""What every adapter has in common: features and where they were seen in, soft tokens out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import mul
from typing import Literal, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn
from torch.nn import functional

from encoders.adapters.soft import SoftTokens
from encoders.adapters.words import Words, embedded, laid
from encoders.base import FeatureSpan

GEOMETRY = 6  # numbers per item, see encoders.adapters.geometry
_OCTAVES = 6  # a place is told apart to 1/64 of the page or minute
_ROUND = 64  # rows: items of nearly one length are adapted together,
_MOST = 64  # items at once, so that a long document needs no more memory than a page
_PLAIN, _TURNED = 1.0, 0.4  # how much of a token that is not the first under a soft token stands as it is, and turned
_PLACED = (1, 2, 3, 4)  # of the six: left, top, right, bottom, or start and end


class AdapterConfig(BaseModel):
    """Shape of an adapter. ``embedding_scale`` is the root mean square of the decoder's token embeddings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    d_encoder: int = Field(ge=1)
    d_model: int = Field(ge=1)
    embedding_scale: float = Field(gt=0)
    strides: tuple[int, ...] = Field((2, 2, 2), description="how many rows become one, level by level")
    reach: Literal[1, 3, 5] = Field(5, description="rows that the first level looks at; 1: an item is a row by itself")
    widths: tuple[int, ...] = Field((192, 256, 384, 576), description="width before the first level and of each level")
    rates: tuple[int, ...] = Field((8,), description="feature rows a soft token that this adapter can emit")
    steps_per_token: int = Field(8, ge=1, description="which of the rates it emits")
    slots: int = Field(0, ge=0, description="tokens of the text read that a soft token takes up; 0: features alone")
    words: str = Field("decoder", description="a checkpoint with the tokens and embeddings that those are in")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        reached = [1, *accumulate(self.strides, mul)]
        if len(self.widths) != len(reached):
            raise ValueError(f"{len(self.strides)} strides need {len(reached)} widths, not {len(self.widths)}")
        if not set(self.rates) <= set(reached) or self.steps_per_token not in self.rates:
            raise ValueError(f"rates {self.rates} and steps_per_token {self.steps_per_token} must be among {reached}")
        return self

    def level(self, rate: int) -> int:
        """After how many strides a token stands for ``rate`` rows."""
        return [1, *accumulate(self.strides, mul)].index(rate)


class Adapter(nn.Module):
    """Features [n, d_encoder] of items (lines, chunks, objects) to soft tokens [m, d_model].

    A pyramid of convolutions: every level sees the neighbouring rows of the same item and folds ``stride`` of them into
    one; each of the ``rates`` is a level with its own way out. The place of each token (where on the line, page or
    clock its rows stand), the confidence and a learned task embedding are added, and the result has the scale of
    token embeddings: a decoder that meets vectors of another norm than its own reads nothing in them.
    """

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.LayerNorm(config.d_encoder)
        self.enter = nn.Conv1d(config.d_encoder, config.widths[0], kernel_size=config.reach)
        self.rest = nn.ModuleList(_Residual(width, min(3, config.reach)) for width in config.widths)
        self.fold = nn.ModuleList(
            nn.Conv1d(before, after, kernel_size=stride, stride=stride)
            for before, after, stride in zip(config.widths, config.widths[1:], config.strides)
        )
        ways = {rate: config.widths[config.level(rate)] for rate in config.rates}
        self.leave = nn.ModuleDict(
            {str(rate): nn.Sequential(nn.LayerNorm(w), nn.Linear(w, config.d_model)) for rate, w in ways.items()}
        )
        places = GEOMETRY + 1 + 2 * _OCTAVES * (len(_PLACED) + 1)
        if config.slots:
            self.words = nn.Linear(config.slots * config.d_model, config.d_model, bias=False)
            self._begin_with_words()
        self.reader: Words | None = None  # which `adapt` needs where there are slots
        self.place = nn.Sequential(nn.Linear(places, 128), nn.GELU(), nn.Linear(128, config.d_model))
        self.task = nn.Parameter(torch.zeros(config.d_model))
        last = cast(nn.Linear, self.place[-1])
        nn.init.zeros_(last.weight)  # what was read comes first: places, louder at the start, would drown it
        nn.init.zeros_(last.bias)

    @torch.no_grad()
    def _begin_with_words(self) -> None:
        """At first a soft token is the tokens under it on top of each other, as the decoder knows them: it copies each
        at once (0.9 a token after 30 small steps, where turned echoes of all but the first stood at 1.9). A turned part
        says which comes first; it is the same in all adapters, so that the decoder learns one code."""
        d = self.config.d_model
        blocks = [torch.eye(d)]
        for slot in range(1, self.config.slots):
            turned = torch.empty(d, d)
            nn.init.orthogonal_(turned, generator=torch.Generator().manual_seed(slot))
            blocks.append(_PLAIN * torch.eye(d) + _TURNED * turned)
        self.words.weight.copy_(torch.cat(blocks, dim=1))
        for leave in self.leave.values():
            linear = cast(nn.Linear, cast(nn.Sequential, leave)[1])
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self,
        rows: torch.Tensor,
        lengths: torch.Tensor,
        geometry: torch.Tensor,
        rate: int | None = None,
        said: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Rows [n, t, d_encoder] of n items, of which the first ``lengths`` [n] count, and geometry [n, 6] to soft
        tokens [n, ceil(t / rate), d_model]; of those of an item the first ceil(length / rate) count. ``said``
        [n, ceil(t / rate), slots * d_model]: the words under each, see `encoders.adapters.words`."""
        config = self.config
        rate = rate or config.steps_per_token
        rows = functional.pad(rows, (0, 0, 0, -rows.shape[1] % rate))
        hidden = self.levels(rows, lengths, config.level(rate))[-1]
        counts = -(-lengths // rate)
        tokens = self.leave[str(rate)](hidden) + self.place(_places(geometry, counts, hidden.shape[1])) + self.task
        if said is not None:
            tokens = tokens + self.words(said)
        scale = tokens.float().square().mean(dim=-1, keepdim=True).add(1e-6).rsqrt() * config.embedding_scale
        return cast(torch.Tensor, tokens * scale)

    def levels(self, rows: torch.Tensor, lengths: torch.Tensor, last: int) -> list[torch.Tensor]:
        """Hidden rows [n, t / stride, width] of the levels 0 to ``last``; nothing leaks in from behind an item."""
        inside = torch.arange(rows.shape[1], device=rows.device) < lengths[:, None]
        mask = inside[..., None].to(rows.dtype)
        found = [self.rest[0](convolved(self.norm(rows) * mask, cast(nn.Conv1d, self.enter)), mask)]
        for fold, rest, stride in zip(self.fold[:last], self.rest[1:], self.config.strides):
            mask = mask[:, ::stride]
            found.append(rest(convolved(found[-1], cast(nn.Conv1d, fold)), mask))
        return found

    @torch.inference_mode()
    def adapt(
        self,
        features: NDArray[np.float16],
        spans: Sequence[FeatureSpan],
        geometry: NDArray[np.float32],
        rate: int | None = None,
        texts: Sequence[str] = (),
    ) -> SoftTokens:
        """Features [n, d_encoder], the span of each item, its geometry [len(spans), 6] and what was read in it to soft
        tokens for travel. Texts are not looked at by an adapter of features alone."""
        device = self.task.device
        rate = rate or self.config.steps_per_token
        given: dict[int, NDArray[np.float16]] = {}
        for length, chosen in _together([span.stop - span.start for span in spans]):
            rows = np.zeros((len(chosen), length, features.shape[1]), np.float32)
            for row, index in zip(rows, chosen):
                row[: spans[index].stop - spans[index].start] = features[spans[index].start : spans[index].stop]
            lengths = torch.tensor([spans[index].stop - spans[index].start for index in chosen], device=device)
            places = torch.tensor(geometry[chosen], dtype=torch.float32, device=device)
            said = None
            if self.reader:
                counts = [-(-count // rate) for count in lengths.tolist()]
                said = self._said([texts[index] for index in chosen], counts, -(-length // rate))
            made = self(torch.from_numpy(rows).to(device), lengths, places, rate, said)
            tokens = made.cpu().numpy().astype(np.float16)
            for index, one, length_of in zip(chosen, tokens, lengths.tolist()):
                given[index] = one[: -(-length_of // rate)]
        found: list[FeatureSpan] = []
        start = 0
        for index in sorted(given):
            span = spans[index]
            found.append(FeatureSpan(span.item, start, start + len(given[index]), span.page))
            start += len(given[index])
        pieces = [given[index] for index in sorted(given)]
        vectors = np.concatenate(pieces) if pieces else np.zeros((0, self.config.d_model), np.float16)
        return SoftTokens(vectors, tuple(found))

    def _said(self, texts: Sequence[str], counts: Sequence[int], places: int) -> torch.Tensor:
        """The words under ``counts`` soft tokens of some items, filled up to ``places``, as `forward` takes them."""
        assert self.reader is not None
        words = np.full((len(texts), places, self.config.slots), -1, np.int32)
        for under, text, count in zip(words, texts, counts, strict=True):
            under[:count] = laid(self.reader.tokens(text), count, self.config.slots)
        return embedded(torch.from_numpy(words).to(self.task.device), self.reader.table).to(self.task)


def _together(lengths: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Groups of items that have rows and go through the adapter together: those of one length, rounded up."""
    found: dict[int, list[int]] = {}
    step = min(_ROUND, max(lengths, default=1))  # objects have one row each
    for index, length in enumerate(lengths):
        if length > 0:
            found.setdefault(-(-length // step) * step, []).append(index)
    for length, chosen in found.items():
        for start in range(0, len(chosen), _MOST):
            yield length, chosen[start : start + _MOST]


class _Residual(nn.Module):
    """Rows that look at their neighbours, ``reach`` in all: [n, t, width] to the same."""

    def __init__(self, width: int, reach: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Conv1d(width, width, kernel_size=reach)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``mask`` [n, t, 1] is 1 inside the items: what lies behind an item stays zero, as at a sequence's end."""
        hidden = functional.gelu(hidden) * mask
        mixed = convolved(self.norm(hidden) * mask, self.mix)
        return cast(torch.Tensor, (hidden + functional.gelu(mixed)) * mask)


def convolved(rows: torch.Tensor, layer: nn.Conv1d) -> torch.Tensor:
    """Rows [n, t, in] through a convolution, as one matrix product: cuDNN would plan anew for every new t and n."""
    (size,), (stride,) = layer.kernel_size, layer.stride
    if stride > 1:
        windows = rows.unflatten(1, (-1, stride)).flatten(2)
    else:
        padded = functional.pad(rows, (0, 0, size // 2, size // 2))
        windows = torch.cat([padded[:, k : k + rows.shape[1]] for k in range(size)], dim=-1)
    return functional.linear(windows, layer.weight.permute(0, 2, 1).flatten(1), layer.bias)


def _places(geometry: torch.Tensor, counts: torch.Tensor, tokens: int) -> torch.Tensor:
    """[n, tokens, places]: an item's six numbers, and where between its left and right (start and end) a token is."""
    share = (torch.arange(tokens, device=geometry.device) + 0.5) / counts.clamp(min=1)[:, None]
    at = geometry[:, 1:2] + (geometry[:, 3:4] - geometry[:, 1:2]) * share.clamp(max=1.0)
    item = geometry[:, None].expand(-1, tokens, -1)
    placed = torch.cat([item[..., list(_PLACED)], at[..., None]], dim=-1)
    octaves = 2.0 ** torch.arange(_OCTAVES, device=geometry.device) * torch.pi
    waves = (placed[..., None] * octaves).flatten(-2)
    return torch.cat([item, at[..., None], waves.sin(), waves.cos()], dim=-1)
