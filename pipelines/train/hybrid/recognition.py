"""The line recogniser on lines alone, for training: grey lines in, symbols, confidences and features out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoModelForTextRecognition

from encoders.checkpoints.resolve import resolve
from encoders.ocr.crops import HEIGHT
from encoders.ocr.modules import alphabet_of, fuse_batch_norms
from encoders.ocr.networks import ALL, STEP, WESTERN, western_symbols

WIDTHS = (96, 160, 256, 384, 512, 704, 960, 1280, 1760, 2400, 3200)
"""Lines are padded to the next of these, and batches of each to one length: a GPU plans anew, for seconds, for every
shape that it has not seen."""
_PIXELS = 24_000  # of width in one batch

Group = tuple[NDArray[np.uint8], str]
Answers = tuple[NDArray[np.int32], NDArray[np.float16], NDArray[np.float16]]


@dataclass(frozen=True, slots=True)
class Recognised:
    """One line: symbols [t], confidences [t], features [t, 120], and what the symbols mean."""

    symbols: NDArray[np.int64]
    confidences: NDArray[np.float32]
    features: NDArray[np.float16]
    characters: list[str]


def packed(images: Sequence[NDArray[np.uint8]], alphabets: Sequence[str]) -> tuple[list[Group], list[list[int]]]:
    """Lines [48, w] in groups [n, 48, W] of one width and alphabet, and which lines are the first of each."""
    buckets: dict[tuple[str, int], list[int]] = {}
    for index, (image, alphabet) in enumerate(zip(images, alphabets)):
        width = next(width for width in WIDTHS if image.shape[1] <= width)
        buckets.setdefault((alphabet, width), []).append(index)
    groups, places = [], []
    for (alphabet, width), indices in sorted(buckets.items()):
        size = _PIXELS // width
        for start in range(0, len(indices), size):
            chosen = indices[start : start + size]
            batch = np.zeros((size, HEIGHT, width), np.uint8)
            for row, index in zip(batch, chosen):
                row[:, : images[index].shape[1]] = images[index]
                row[:, images[index].shape[1] :] = 127  # the grey that the network was trained with
            groups.append((batch, alphabet))
            places.append(chosen)
    return groups, places


def unpacked(
    answers: Sequence[Answers], places: Sequence[Sequence[int]], widths: Sequence[int], characters: dict[str, list[str]]
) -> list[Recognised]:
    """The answers to `packed` groups, line by line."""
    found: dict[int, Recognised] = {}
    for (symbols, confidences, features), indices in zip(answers, places):
        alphabet = characters[ALL if symbols.dtype == np.int32 else WESTERN]
        for row, index in enumerate(indices):
            steps = -(-widths[index] // STEP)
            found[index] = Recognised(
                symbols[row, :steps].astype(np.int64),
                confidences[row, :steps].astype(np.float32),
                features[row, :steps],
                alphabet,
            )
    return [found[index] for index in range(len(widths))]


class LineNetwork:
    """The default recogniser on one device, in half precision on a GPU."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        dtype = torch.float16 if self._device.type == "cuda" else torch.float32
        folder = resolve("ocr_recognition", variant="torch")
        characters = alphabet_of(folder)
        kept = western_symbols(characters)
        self.characters = {ALL: characters, WESTERN: [characters[i] for i in kept]}
        model = AutoModelForTextRecognition.from_pretrained(folder).eval()
        fuse_batch_norms(model)
        self._model = model.requires_grad_(False).to(self._device, dtype, memory_format=torch.channels_last)
        whole: nn.Linear = self._model.head.head
        columns = torch.tensor(kept, device=self._device)
        self._classifiers = {ALL: (whole.weight, whole.bias), WESTERN: (whole.weight[columns], whole.bias[columns])}
        self._dtype = dtype

    @torch.inference_mode()
    def __call__(self, images: NDArray[np.uint8], alphabet: str) -> Answers:
        """Lines [n, 48, W] to symbols and confidences [n, T] and features [n, T, 120]. Symbols of the whole alphabet
        are int32, of the western one int16."""
        lines = torch.from_numpy(images).to(self._device).to(self._dtype).div(127.5).sub(1)
        batch = lines[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        hidden = self._model.head.encoder(self._model.model(batch).last_hidden_state).last_hidden_state
        best, symbols = [], []
        for part in hidden.split(64):
            logits = nn.functional.linear(part, *self._classifiers[alphabet]).float()
            top, index = logits.max(dim=-1)
            best.append(torch.exp(top - torch.logsumexp(logits, dim=-1)).half())
            symbols.append(index)
        kind = torch.int32 if alphabet == ALL else torch.int16
        return (
            torch.cat(symbols).to(kind).cpu().numpy(),
            torch.cat(best).cpu().numpy(),
            hidden.half().cpu().numpy(),
        )
