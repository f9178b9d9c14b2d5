"""`DefaultDetector`: our own finder and namer, trained on generated pages and drawings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from encoders.checkpoints.resolve import checkpoint_digest, resolve
from encoders.detection.candidates import Candidates, Image, nothing, suppress
from encoders.detection.network import CROP, EMBEDDING, KINDS, MULTIPLE, Finder, Namer
from encoders.detection.phrases import PhraseEncoder
from encoders.detection.views import View, views
from encoders.detection.weights import fuse, load_weights, part, sha256

DRAWN = ("icon", "image", "avatar", "figure", "logo", "object")  # kinds whose content is named by what it shows
_BEFORE = 1000  # boxes of one view that suppression looks at
_CROPS = 64  # that the namer sees at once
_MARGIN = 1.15  # of a crop around what is drawn
_SAME_KIND = 0.8  # cosine from which a phrase means a kind
SHARPNESS = 16.0  # of the choice among phrases
NONE_OF_THEM = 0.22  # cosine that a phrase must beat
LABELS, LEAST_SHARE = 3, 0.03  # of one box: it may be labelled with more than one phrase, each with its share
VOCABULARY = Path(__file__).with_name("vocabulary.txt")


class DefaultDetector:
    """Finds elements and drawn things. ``interface`` chooses which of both it labels when nothing is asked for."""

    at_once = 0  # a screen fills the cores by itself

    def __init__(self, text_encoder: str, *, interface: bool, floor: float, overlap: float, most: int) -> None:
        self._text_encoder, self._interface = text_encoder, interface
        self._floor, self._overlap, self._most = floor, overlap, most
        self._device = "cpu"
        self.runs: Counter[str] = Counter()

    def load(self, device: str) -> None:
        """Load both networks and the text encoder. Raises `CheckpointError` when that one is not to be had."""
        self._device = device
        weights = load_weights()
        finder, namer = Finder(), Namer()
        for network, prefix in ((finder, "finder."), (namer, "namer.")):
            network.load_state_dict(part(weights, prefix), strict=False)  # it has no counters of batches
            fuse(network.eval().requires_grad_(False))
            network.to(device, memory_format=torch.channels_last)
        self._finder, self._namer = finder, namer
        self._slope, self._offset = (float(value) for value in weights["calibration"])
        self.phrases = PhraseEncoder(resolve(self._text_encoder), weights["text_mean"].numpy(), device, self.runs)
        self._kind_vectors = self.phrases(KINDS)
        self._names = VOCABULARY.read_text("utf-8").split("\n")[:-1]
        self._name_vectors: NDArray[np.float32] | None = None

    def fingerprint(self) -> str:
        """Hash of all weights."""
        return sha256() + checkpoint_digest(self._text_encoder)

    def parameters(self) -> dict[str, int]:
        """Parameter counts by network."""
        count: dict[str, torch.nn.Module] = {"finder": self._finder, "namer": self._namer}
        return {
            **{name: sum(p.numel() for p in network.parameters()) for name, network in count.items()},
            "text_embedding": self.phrases.parameters(),
        }

    # -- finding -------------------------------------------------------------------------------------------------------

    def find(self, image: Image, queries: Sequence[str], *, vectors: bool) -> Candidates:
        """See `Detector`. Boxes of things are labelled by what they show, others by their kind."""
        found = self.elements(image)
        if not self._interface and not queries:
            found = found.take([row for row, label in enumerate(found.labels) if label in _SHOWN])
        if vectors or not self._interface or queries:
            found.vectors = self.look(image, found)
        if queries:
            found = self._asked(found, list(dict.fromkeys(queries)))
        elif not self._interface:
            found = self._named(found)
        else:
            found = found.take([row for row, label in enumerate(found.labels) if label != "object"])
        return found.take(np.arange(min(len(found), self._most)))

    def find_all(self, images: Sequence[Image], queries: Sequence[str], *, vectors: bool) -> list[Candidates]:
        """See `Detector`."""
        return [self.find(image, queries, vectors=vectors) for image in images]

    def elements(self, image: Image) -> Candidates:
        """Everything the finder sees, labelled with kinds, without suppressed doubles; no vectors."""
        parts = [self._view(view) for view in views(image, MULTIPLE)]
        boxes, scores, kinds, pointers = (np.concatenate([p[at] for p in parts]) for at in range(4))
        if not len(scores):
            return nothing()
        height, width = image.shape[:2]
        limit = np.array([width, height, width, height], np.float32)
        boxes = boxes.clip(0, limit)
        labels = [KINDS[kind] for kind in kinds]
        alive = np.flatnonzero((boxes[:, 2:] - boxes[:, :2]).min(1) >= 1)
        if not len(alive):
            return nothing()
        rows = alive[suppress(boxes[alive], scores[alive], self._overlap)][: self._most * 2]
        found = Candidates(boxes, scores, labels, pointers.clip(0, limit), np.zeros((0, 0), np.float32))
        return found.take(rows)

    def _view(
        self, view: View
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        pixels = torch.from_numpy(view.pixels).to(self._device).permute(2, 0, 1)[None].float() / 255
        self.runs["finder"] += 1
        with torch.inference_mode():
            found = self._finder(pixels.contiguous(memory_format=torch.channels_last))
            if not bool(torch.isfinite(found.objectness).all()):
                raise ValueError("the detector returned numbers that are not finite")
            scores = (found.objectness[0] * self._slope + self._offset).sigmoid()
            order = scores.topk(min(_BEFORE, len(scores))).indices
            order = order[scores[order] >= self._floor]
            boxes, pointers = found.boxes[0, order].cpu().numpy(), found.pointers[0, order].cpu().numpy()
            chance, kinds = found.kinds[0, order].softmax(1).max(1)
        inside = (boxes[:, 0] < view.width) & (boxes[:, 1] < view.height)  # the margin shows nothing
        if view.tile:  # what a tile's inner edge cuts, its neighbour sees whole, and so does the overview
            edge = (
                (boxes[:, 0] < 2) | (boxes[:, 1] < 2) | (boxes[:, 2] > view.width - 2) | (boxes[:, 3] > view.height - 2)
            )
            inside &= ~edge
        values = scores[order].cpu().numpy() * (0.5 + 0.5 * chance.cpu().numpy())
        return view.back(boxes)[inside], values[inside], kinds.cpu().numpy()[inside], view.back(pointers)[inside]

    # -- naming --------------------------------------------------------------------------------------------------------

    def look(self, image: Image, found: Candidates) -> NDArray[np.float32]:
        """What every box shows, [n, 384] unit vectors."""
        out = np.zeros((len(found), EMBEDDING), np.float32)
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self._device)
        for start in range(0, len(found), _CROPS):
            rows = range(start, min(start + _CROPS, len(found)))
            crops = torch.stack([_crop(pixels, found.boxes[row], found.labels[row]) for row in rows])
            self.runs["namer"] += 1
            with torch.inference_mode():
                named = self._namer(crops.contiguous(memory_format=torch.channels_last))
            out[start : start + len(crops)] = named.cpu().numpy()
        return out

    def _asked(self, found: Candidates, queries: list[str]) -> Candidates:
        """For every box the queries that fit it best, if any do: by what is drawn in it, or by its kind."""
        if not len(found):
            return found
        asked = self.phrases(queries)
        means = (asked @ self._kind_vectors.T) >= _SAME_KIND  # [q, kinds]
        cosines = found.vectors @ asked.T
        odds = np.exp(SHARPNESS * (cosines - NONE_OF_THEM))
        shares = odds / (1 + odds.sum(1, keepdims=True))
        for row, label in enumerate(found.labels):
            if label not in DRAWN:
                shares[row] *= 0.5  # a drawing inside it, perhaps
            kind = means[:, KINDS.index(label)]
            shares[row, kind] = np.maximum(shares[row, kind], 0.95)
        shares[shares < LEAST_SHARE] = 0
        order = np.argsort(-shares, 1, kind="stable")[:, :LABELS]
        rows, columns = np.nonzero(np.take_along_axis(shares, order, 1))
        chosen = order[rows, columns]
        taken = found.take(rows)
        return _sorted(taken, taken.scores * shares[rows, chosen], [queries[at] for at in chosen])

    def _named(self, found: Candidates) -> Candidates:
        """Things by the nearest name of the vocabulary; other kinds keep theirs."""
        if self._name_vectors is None:
            self._name_vectors = self.phrases(self._names)
        if not len(found):
            return found
        best = (found.vectors @ self._name_vectors.T).argmax(1)
        labels = [
            self._names[at] if label in ("object", "icon", "avatar") else label for label, at in zip(found.labels, best)
        ]
        return _sorted(found, found.scores, labels)


_SHOWN = (*DRAWN, "table", "stamp", "signature", "barcode", "check box")
"""Kinds that the object detector reports when nothing is asked for."""


def _crop(pixels: torch.Tensor, box: NDArray[np.float32], label: str) -> torch.Tensor:
    """A square of [3, 64, 64] in 0..1: all of what is drawn, or the middle of an element that may hold an icon."""
    width, height = float(box[2] - box[0]), float(box[3] - box[1])
    side = max(2.0, (max(width, height) * _MARGIN) if label in DRAWN else min(width, height))
    x, y = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
    x0, y0, x1, y1 = (round(v) for v in (x - side / 2, y - side / 2, x + side / 2, y + side / 2))
    limit_y, limit_x = pixels.shape[:2]
    inner = pixels[max(0, y0) : max(y1, 1), max(0, x0) : max(x1, 1)].permute(2, 0, 1)[None].float() / 255
    margins = (max(0, -x0), max(0, x1 - limit_x), max(0, -y0), max(0, y1 - limit_y))
    if any(margins):
        inner = functional.pad(inner, margins, mode="replicate")
    out = functional.interpolate(inner, (CROP, CROP), mode="bilinear", antialias=side > CROP, align_corners=False)
    return out[0]


def _sorted(found: Candidates, scores: NDArray[np.float32], labels: list[str]) -> Candidates:
    changed = Candidates(found.boxes, scores, labels, found.pointers, found.vectors)
    return changed.take(np.argsort(-scores, kind="stable"))
