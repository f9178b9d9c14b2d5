"""Whisper's decoder over a static cache: greedy decoding of a batch of windows, one recorded step at a time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import embedding, gelu, linear, scaled_dot_product_attention

from encoders.static_cache import GraphedStep, StaticCache
from encoders.transfers import Fetch

_AT_ONCE = 4  # steps that are begun together; then a look at whether all windows have ended
_NO_REPEAT = 4  # words of tokens that may not come twice, in careful decoding
_PENALTY = 1.1


@dataclass(frozen=True, slots=True)
class DecodingRules:
    """Token ids that decoding needs to know."""

    start: int
    end: int
    no_speech: int
    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """Texts of a batch on their way to the host."""

    coming: Fetch  # tokens behind the prompts [n, t], sums of log probabilities [n], chances of no speech [n]
    end: int

    def windows(self, first: int, count: int) -> list[tuple[list[int], float, float]]:
        """Of some windows the tokens up to the end token, their mean log probability with it, and the chance that
        nobody speaks. Waits for them, in whatever thread."""
        found = []
        for tokens, score, silence in zip(*(whole[first : first + count] for whole in self.coming.wait())):
            ends = np.flatnonzero(tokens == self.end)
            text = tokens[: ends[0]] if len(ends) else tokens
            found.append((text.tolist(), float(score / np.float32(len(text) + 1)), float(silence)))
        return found


class StaticDecoder:
    """Decodes up to ``batch`` windows together. Buffers are made once; every call reuses them.

    ``network`` is a transformers `WhisperForConditionalGeneration`; its weights are used, its forward is not. Steps are
    recorded on ``stream``, or on any.
    """

    def __init__(
        self,
        network: Any,
        rules: DecodingRules,
        batch: int,
        *,
        careful: bool = False,
        stream: torch.cuda.Stream | None = None,
    ) -> None:
        self._decoder, self._rules, self._careful = network.model.decoder, rules, careful
        config = network.config
        weight = network.proj_out.weight
        self._device, self._dtype, self._vocabulary = weight.device, weight.dtype, weight.shape[0]
        # 51,865 rows are an unaligned matrix product, 13 % of a step; padded to 51,872 they are not.
        self._projection = nn.functional.pad(weight.detach(), (0, 0, 0, -weight.shape[0] % 8))
        self._heads, self._length = config.decoder_attention_heads, config.max_target_positions
        layers, width = config.decoder_layers, config.d_model // self._heads
        place: dict[str, Any] = {"dtype": self._dtype, "device": self._device}
        self._cache = StaticCache(layers, batch, self._heads, self._length, width, **place)
        cross = (batch, self._heads, config.max_source_positions, width)
        self._cross_keys = [torch.zeros(cross, **place) for _ in range(layers)]
        self._cross_values = [torch.zeros(cross, **place) for _ in range(layers)]
        self._make_state(batch)
        self._attend, self._choose = attend, choose
        if self._device.type == "cuda":
            from encoders.speech import step_kernels

            if step_kernels.are_right(self._device, self._dtype, self._heads, width, self._vocabulary):
                self._attend, self._choose = step_kernels.attend, step_kernels.choose
        self._step = GraphedStep(self._advance, self._clear, self._device, stream, _AT_ONCE)

    def _make_state(self, batch: int) -> None:
        on = {"device": self._device}
        self.batch = batch
        self._tokens = torch.full((batch, self._length + 1), self._rules.end, dtype=torch.int64, **on)
        self._position = torch.zeros(1, dtype=torch.int64, **on)
        self._prompt = torch.full((1,), 4, dtype=torch.int64, **on)
        self._ended = torch.zeros(batch, dtype=torch.bool, **on)
        self._score = torch.zeros(batch, **on)
        self._no_speech = torch.zeros(batch, **on)
        self._banned = torch.zeros(self._vocabulary, dtype=torch.uint8, **on)
        self._banned[list(self._rules.suppressed_first)] = 1
        self._banned[list(self._rules.suppressed)] = 2

    def _clear(self) -> None:
        self._position.zero_()
        self._ended.zero_()
        self._score.zero_()

    @torch.inference_mode()
    def record(self) -> None:
        """Record the step on CUDA; done by the first `decode` otherwise."""
        self._step.record()

    @torch.inference_mode()
    def start(self, encoded: torch.Tensor, first: int = 0) -> None:
        """Take in the encoder's output [n, frames, d] as windows ``first`` to ``first + n`` of the batch."""
        rows = slice(first, first + len(encoded))
        for layer, keys, values in zip(self._decoder.layers, self._cross_keys, self._cross_values):
            attention = layer.encoder_attn
            keys[rows] = self._split(attention.k_proj(encoded))
            values[rows] = self._split(attention.v_proj(encoded))

    @torch.inference_mode()
    def decode(self, prompts: torch.Tensor) -> Decoded:
        """Read the first windows behind their prompts [n, p]. What is returned stays as it is while others are
        decoded."""
        count, length = prompts.shape
        self._step.record()
        self._clear()
        self._tokens.fill_(self._rules.end)
        self._tokens[:, :length] = prompts[:1]
        self._tokens[:count, :length] = prompts
        self._prompt.fill_(length)
        self._ended[count:] = True
        self._cache.clear(count)
        self._run(length)
        found = (self._tokens[:count, length:], self._score[:count], self._no_speech[:count])
        return Decoded(Fetch(*(tensor.clone() for tensor in found)), self._rules.end)

    def _run(self, length: int) -> None:
        """Step until all windows have ended. On CUDA each look is taken for what it showed one look ago: then steps
        are still to be computed while the host waits for it, and the device never waits for the host."""
        behind = 0 if self._device.type == "cpu" else 1
        looks: deque[Fetch] = deque()
        for done in range(_AT_ONCE, self._length - 2 + _AT_ONCE, _AT_ONCE):
            self._step()
            if done > length:
                looks.append(Fetch(self._ended.all()))
                if len(looks) > behind and looks.popleft().wait()[0]:
                    break

    def _advance(self) -> None:
        """One step for all windows: everything it reads and writes is a fixed tensor."""
        logits = self._logits()
        if self._careful:
            logits = self._forbid_repeats(logits[:, : self._vocabulary].float())
        behind = self._position + 1
        first = behind == self._prompt
        chosen, best, chance = self._choose(logits, self._vocabulary, self._banned, first, self._rules.no_speech)
        self._no_speech.copy_(torch.where(self._position == 0, chance, self._no_speech))
        forced = behind < self._prompt
        over = self._ended | (behind > self._length - 2)  # a place is left for the end, which alignment reads too
        scored = ~(forced | over)
        self._score.add_(torch.where(scored, best, 0.0))
        token = torch.where(over, self._rules.end, chosen)
        token = torch.where(forced, self._tokens.index_select(1, behind)[:, 0], token)
        self._tokens.index_copy_(1, behind, token[:, None])
        self._ended.logical_or_(scored & (token == self._rules.end))
        self._position.add_(1).clamp_(max=self._length - 1)  # the last few that are begun together may be too many

    def _logits(self) -> torch.Tensor:
        decoder, position = self._decoder, self._position
        ids = self._tokens.index_select(1, position)
        hidden = embedding(ids, decoder.embed_tokens.weight) + decoder.embed_positions.weight[position]
        for index, layer in enumerate(decoder.layers):
            own, cross = layer.self_attn, layer.encoder_attn
            normed = layer.self_attn_layer_norm(hidden)
            self._cache.write(index, position, self._split(own.k_proj(normed)), self._split(own.v_proj(normed)))
            query = self._split(own.q_proj(normed))
            keys, values = self._cache.keys[index], self._cache.values[index]
            hidden = hidden + own.out_proj(self._attend(query, keys, values, self._ended, position))
            query = self._split(cross.q_proj(layer.encoder_attn_layer_norm(hidden)))
            keys, values = self._cross_keys[index], self._cross_values[index]
            hidden = hidden + cross.out_proj(self._attend(query, keys, values, self._ended))
            hidden = hidden + layer.fc2(gelu(layer.fc1(layer.final_layer_norm(hidden))))
        return linear(decoder.layer_norm(hidden)[:, 0], self._projection)

    def _forbid_repeats(self, logits: torch.Tensor) -> torch.Tensor:
        """Lower what was said, and rule out what would repeat four tokens in a row. Runs once the prompt is read."""
        places = torch.arange(self._length, device=self._device)
        said = (places <= self._position) & (places >= self._prompt)
        ids = self._tokens[:, : self._length]
        seen = logits.gather(1, ids)
        lowered = torch.where(seen > 0, seen / _PENALTY, seen * _PENALTY)
        logits = logits.scatter(1, ids, torch.where(said, lowered, seen))
        history = ids.unfold(1, _NO_REPEAT, 1)  # every run of four tokens
        tail = (self._position - torch.arange(_NO_REPEAT - 2, -1, -1, device=self._device)).clamp_min(0)
        same = (history[:, :, :-1] == ids.index_select(1, tail)[:, None]).all(-1)
        last = places[_NO_REPEAT - 1 :]
        banned = same & (last <= self._position) & (places[: len(last)] >= self._prompt)
        runs = torch.where(banned, float("-inf"), 0.0)
        return logits + torch.zeros_like(logits).scatter_reduce(1, history[:, :, -1], runs, "amin")

    def _split(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden.unflatten(-1, (self._heads, -1)).transpose(1, 2)


def attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    ended: torch.Tensor,
    position: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attention of ``query`` [n, heads, 1, d] to keys and values [n, heads, length, d], up to ``position`` of one
    element where it is given, as [n, 1, heads * d]. Nobody reads what comes of rows that have ``ended``, bool [n]."""
    mask = None if position is None else (torch.arange(keys.shape[2], device=keys.device) <= position)[None, None, None]
    return scaled_dot_product_attention(query, keys, values, mask).transpose(1, 2).flatten(2)


def choose(
    logits: torch.Tensor, vocabulary: int, banned: torch.Tensor, first: torch.Tensor, no_speech: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of logits [n, v], of which so many symbols are meant: each row's likeliest symbol that is not ``banned`` (bytes
    [v]: 2 always, 1 where ``first``, of one element, says that it is a text's first), its log probability among those
    that are not, and the chance of the symbol ``no_speech`` among all."""
    whole = logits[:, :vocabulary].float()
    allowed = whole.masked_fill(banned + first.to(torch.uint8) > 1, float("-inf"))
    best, chosen = allowed.log_softmax(-1).max(-1)
    return chosen, best, whole.softmax(-1)[:, no_speech]
