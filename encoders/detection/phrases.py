"""Phrases as vectors: a frozen sentence encoder, centred, so that unrelated phrases are at right angles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_BATCH = 256
_KNOWN = 50_000  # vectors that are kept, 1.5 kB each
_TOKENS = 48  # a phrase, not a document


class PhraseEncoder:
    """Embeds phrases with a sentence encoder of `transformers` (mean over tokens, unit length)."""

    def __init__(
        self,
        folder: Path,
        mean: NDArray[np.float32] | None = None,
        device: str = "cpu",
        runs: Counter[str] | None = None,  # batches that were computed, as text_embedding
    ) -> None:
        from transformers import AutoModel, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModel.from_pretrained(folder, dtype=torch.float32).eval().to(device)
        self._mean = mean
        self._device = device
        self._known: dict[str, NDArray[np.float32]] = {}
        self._runs: Counter[str] = Counter() if runs is None else runs

    def __call__(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors [n, d]; phrases seen lately are not computed again."""
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._known]
        if len(self._known) + len(new) > _KNOWN:
            self._known.clear()
            new = list(dict.fromkeys(phrases))
        for start in range(0, len(new), _BATCH):
            some = new[start : start + _BATCH]
            self._known.update(zip(some, self._embed(some)))
        return np.stack([self._known[phrase] for phrase in phrases]) if phrases else np.zeros((0, 0), np.float32)

    def parameters(self) -> int:
        """How many numbers it holds."""
        return sum(p.numel() for p in self._model.parameters())

    def _embed(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        tokens = self._tokenizer(
            list(phrases), padding=True, truncation=True, max_length=_TOKENS, return_tensors="pt"
        ).to(self._device)
        self._runs["text_embedding"] += 1
        with torch.inference_mode():
            states = self._model(**tokens).last_hidden_state
        mask = tokens["attention_mask"][..., None].float()
        vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
        out: NDArray[np.float32] = vectors.float().cpu().numpy()
        if self._mean is not None:
            out = out - self._mean
            out /= np.linalg.norm(out, axis=1, keepdims=True) + 1e-6
        return out
