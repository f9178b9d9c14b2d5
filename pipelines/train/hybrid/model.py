"""The hybrid model as it is trained: a frozen decoder with a low-rank difference, and the adapters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM

from encoders.adapters.base import Adapter
from encoders.adapters.words import embedded
from encoders.checkpoints.resolve import resolve
from pipelines.train.hybrid.batches import Batch
from pipelines.train.hybrid.items import Items
from pipelines.train.hybrid.spelling import Spelling

Given = dict[str, list[torch.Tensor]]
"""Soft tokens [m, d_model] of a task's groups of items, places behind an item's end included."""


class LowRankLinear(nn.Module):
    """A frozen linear layer and a difference of rank r: the sum is formed once a pass, which for a small network is
    cheaper than two more products for every row. ``rank`` 0: the weight itself is trained."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        out, width = linear.weight.shape
        self.weight = nn.Parameter(linear.weight.detach().clone(), requires_grad=rank == 0)
        self.bias = linear.bias  # stays as it is
        self.rank = rank
        if rank:
            self.a = nn.Parameter(torch.randn(rank, width) / width**0.5)
            self.b = nn.Parameter(torch.zeros(out, rank))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows [..., in] to [..., out]."""
        weight = self.weight.to(rows.dtype)
        if self.rank:
            weight = weight + self.b.to(rows.dtype) @ self.a.to(rows.dtype)
        return functional.linear(rows, weight, None if self.bias is None else self.bias.to(rows.dtype))

    @torch.no_grad()
    def settle(self) -> None:
        """Take the difference into the weight, for a model that learns no more."""
        if self.rank:
            self.weight += (self.b @ self.a).to(self.weight.dtype)
            self.rank = 0


class Hybrid(nn.Module):
    """Decoder and adapters. ``base``: a checkpoint; its embeddings and head stay as they are."""

    def __init__(self, base: str, rank: int, adapters: dict[str, Adapter]) -> None:
        super().__init__()
        dtype = torch.float32 if rank == 0 else torch.bfloat16
        model = AutoModelForCausalLM.from_pretrained(resolve(base), dtype=dtype, attn_implementation="sdpa")
        self.decoder = cast(Any, model.requires_grad_(False))
        layers: dict[str, LowRankLinear] = {}
        for name, module in list(self._network.layers.named_modules()):
            if isinstance(module, nn.Linear):
                parent, _, child = name.rpartition(".")
                layers[name] = LowRankLinear(module, rank)
                setattr(self._network.layers.get_submodule(parent), child, layers[name])
        if not layers:
            raise ValueError(f"{base} ({type(model).__name__}) has no linear layers of torch that could be trained")
        self.layers = layers
        self.adapters = nn.ModuleDict(adapters)
        self.spelling = Spelling(adapters["speech_to_text"]) if "speech_to_text" in adapters else None

    def resume(self, state: Mapping[str, torch.Tensor], anew: tuple[str, ...] = ()) -> list[str]:
        """Take over what an ended training left, and return the parts that begin anew: those whose names begin with one
        of ``anew``, whose shape has changed since, or that it did not have. Raises ValueError where there is no part of
        such a name."""
        own = {name: p for name, p in self.named_parameters() if p.requires_grad}
        if unknown := [part for part in anew if not any(name.startswith(part) for name in own)]:
            raise ValueError(f"no part begins with {' or '.join(unknown)}; there are {', '.join(_parts(own))}")
        kept = {name: v for name, v in state.items() if not name.startswith(anew)}
        known = {name: v for name, v in kept.items() if name in own and own[name].shape == v.shape}
        self.load_state_dict(known, strict=False)
        return _parts(own.keys() - known.keys())

    @property
    def _network(self) -> Any:
        """The decoder without its head, which every family names otherwise."""
        return self.decoder.base_model

    def compile(self) -> None:  # type: ignore[override]
        """Compile a layer of the decoder, once for all of them: a small network waits for its launches otherwise, by a
        factor of three on an H100. Batches have to have one shape."""
        for layer in self._network.layers:
            layer.forward = torch.compile(layer.forward, dynamic=False)

    def given(self, batch: Batch, speech: torch.Tensor | None) -> Given:
        """The soft tokens of all items; ``speech``: the recordings' features [windows, frames, d]."""
        found: Given = {}
        for task, items in batch.items.items():
            found[task] = []
            for group in items:
                adapter = cast(Adapter, self.adapters[task])
                if task == "ocr":
                    rows = lines(batch.features, group)
                elif task == "gui_detection":
                    rows = lines(cast(torch.Tensor, batch.things), group)
                else:
                    rows = chunks(speech, group, adapter.config.d_encoder)
                rate = batch.rate if task == "ocr" else None
                said = (
                    None if group.words is None else embedded(group.words, self.decoder.get_input_embeddings().weight)
                )
                made = adapter(rows.float(), group.lengths, group.geometry.float(), rate, said)
                found[task].append(made.flatten(0, 1))
        return found

    def embedded(self, batch: Batch, given: Given) -> torch.Tensor:
        """Embeddings [r, l, d_model]: of text, and the soft tokens at their places."""
        vectors = self.decoder.get_input_embeddings()(batch.tokens)
        flat = vectors.flatten(0, 1)
        for task, at in batch.soft_at.items():
            if len(at):
                flat = flat.index_copy(0, at, torch.cat(given[task])[batch.soft_from[task]].to(flat.dtype))
        return flat.view_as(vectors)

    def spelled(self, batch: Batch, speech: torch.Tensor) -> torch.Tensor:
        """The loss of `Spelling` on all chunks of a batch."""
        assert self.spelling is not None
        adapter = cast(Adapter, self.adapters["speech_to_text"])
        groups = [(chunks(speech, group, adapter.config.d_encoder), group) for group in batch.items["speech_to_text"]]
        return self.spelling.loss(adapter, groups)

    def hidden(self, vectors: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The decoder's last hidden rows [r, l, d_model]."""
        output = self._network(
            inputs_embeds=vectors, attention_mask=seen(batch), position_ids=batch.position, use_cache=False
        )
        return cast(torch.Tensor, output.last_hidden_state)

    def scores(self, batch: Batch, given: Given) -> torch.Tensor:
        """Of the places that learn, the likelihood [n, vocabulary] of every token in float32, as logits."""
        hidden = self.hidden(self.embedded(batch, given), batch).flatten(0, 1)
        return cast(torch.Tensor, self.decoder.get_output_embeddings()(hidden[batch.learns]).float())

    def losses(self, batch: Batch, given: Given) -> torch.Tensor:
        """Cross entropy [n] of all places that learn, in natural-log units: with the token that follows, or with the
        likely ones where those are known."""
        scores = self.scores(batch, given)
        losses = functional.cross_entropy(scores, batch.answers, reduction="none")
        if batch.taught_at is None or batch.taught is None or batch.taught_share is None:
            return losses
        taught = alike(scores[batch.taught_at], batch.taught, batch.taught_share)
        return losses.index_copy(0, batch.taught_at, taught)


def alike(scores: torch.Tensor, tokens: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Cross entropy [m] of scores [m, vocabulary] with a distribution known at some tokens [m, k]; what is left of it
    is taken as one token more. It is least, but not zero, where both are alike: learning by heart gains nothing."""
    logs = scores.log_softmax(-1).gather(1, tokens)
    rest = (1 - logs.exp().sum(-1)).clamp(min=1e-6).log()
    return -(share * logs).sum(-1) - (1 - share.sum(-1)).clamp(min=0) * rest


def _parts(names: Iterable[str]) -> list[str]:
    """What parameters of these names belong to: adapters.ocr, decoder.model."""
    return sorted({".".join(name.split(".")[:2]) for name in names})


def lines(features: torch.Tensor, group: Items) -> torch.Tensor:
    """The steps [n, t, d] of lines out of the features [steps, d] of all; behind a line's end comes the next."""
    steps = group.rows[:, None] + torch.arange(group.padded, device=features.device)
    return features[steps.clamp(max=len(features) - 1)]


def chunks(speech: torch.Tensor | None, group: Items, width: int) -> torch.Tensor:
    """The frames [n, t, width] of chunks out of the windows' features [windows, frames, width]; zeros for chunks of
    which only the words are known."""
    if speech is None:
        return torch.zeros(len(group.rows), group.padded, width, device=group.rows.device)
    frames = group.rows[:, 1:2].clamp(min=0) + torch.arange(group.padded, device=speech.device)
    found = speech[group.rows[:, :1], frames.clamp(max=speech.shape[1] - 1)]
    return found * (group.rows[:, 1:2, None] >= 0).to(found.dtype)


def seen(batch: Batch) -> torch.Tensor:
    """[r, 1, l, l]: whether a place (second last) may look at another: earlier, in the same example, and in the part
    that all branches share or in the same branch."""
    example, branch = batch.example, batch.branch
    length = example.shape[1]
    order = torch.arange(length, device=example.device)
    same = (example[:, :, None] == example[:, None, :]) & (order[None, :] <= order[:, None])
    shared = (branch[:, None, :] == 0) | (branch[:, :, None] == branch[:, None, :])
    return (same & shared)[:, None]
