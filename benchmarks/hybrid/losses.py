"""How likely the trained decoder finds a known answer, teacher-forced: whether soft tokens are looked at at all, long
before they are read without a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM

from decoder.config import DecoderConfig
from decoder.model import chosen_dtype
from decoder.sequence import Segment, TextSegment
from encoders.checkpoints.resolve import resolve

_TOGETHER = 8


class AnswerLosses:
    """A decoder without an engine, in the precision that the engine has on that device."""

    def __init__(self, config: DecoderConfig, device: str) -> None:
        self._device = torch.device(device)
        dtype = chosen_dtype(config.dtype, self._device)
        model: Any = AutoModelForCausalLM.from_pretrained(resolve(config.checkpoint), dtype=dtype)
        self._model = model.eval().requires_grad_(False).to(self._device)
        self._embed = model.get_input_embeddings()

    @torch.inference_mode()
    def of(self, prompts: Sequence[Sequence[Segment]], answers: Sequence[Sequence[int]]) -> list[float]:
        """The summed loss of each answer's tokens behind its prompt, natural logarithm."""
        found: list[float] = []
        for at in range(0, len(prompts), _TOGETHER):
            wanted = [torch.tensor(list(answer), device=self._device) for answer in answers[at : at + _TOGETHER]]
            begun = [torch.cat([self._vectors(one) for one in prompt]) for prompt in prompts[at : at + _TOGETHER]]
            rows = [torch.cat([begin, self._embed(answer)]) for begin, answer in zip(begun, wanted, strict=True)]
            mask = pad_sequence([torch.ones(len(row), device=self._device) for row in rows], batch_first=True)
            hidden = self._model(
                inputs_embeds=pad_sequence(rows, batch_first=True), attention_mask=mask, use_cache=False
            )
            for logits, begin, answer in zip(hidden.logits, begun, wanted, strict=True):
                said = logits[len(begin) - 1 : len(begin) - 1 + len(answer)].float()
                found.append(float(functional.cross_entropy(said, answer, reduction="sum")))
        return found

    def _vectors(self, segment: Segment) -> torch.Tensor:
        if isinstance(segment, TextSegment):
            embedded: torch.Tensor = self._embed(torch.tensor(segment.tokens.tolist(), device=self._device))
            return embedded
        return torch.tensor(segment.vectors, device=self._device).to(self._model.dtype)
