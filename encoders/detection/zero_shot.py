"""`ZeroShotDetector`: any zero-shot object detector of `transformers` behind the same interface.

Grounding DINO, MM-Grounding-DINO, OmDet-Turbo and OWLv2 were tried with tiny checkpoints. They differ in how queries go
in and results come out; each family's processor does both.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures

from encoders.checkpoints.errors import CheckpointError
from encoders.checkpoints.resolve import checkpoint_digest, resolve
from encoders.detection import omdet
from encoders.detection.candidates import Candidates, Image, nothing, suppress
from encoders.heartbeat import beat

AT_ONCE = 24  # queries of one pass: text encoders of these models take a few hundred tokens
SMALLEST = 8  # pixels; their processors fail on less
PASS_PIXELS = 4_000_000  # of one pass, as the processor made them: three pages of 800 x 1,333


class ZeroShotDetector:
    """Finds what phrases name. Without phrases, those of ``vocabulary`` are looked for."""

    at_once = 16_000_000  # opened images wait in memory for each other, three bytes a pixel

    def __init__(self, checkpoint: str, vocabulary: Sequence[str], *, floor: float, overlap: float, most: int) -> None:
        self._checkpoint, self._vocabulary = checkpoint, tuple(vocabulary)
        self._floor, self._overlap, self._most = floor, overlap, most
        self.runs: Counter[str] = Counter()

    def load(self, device: str) -> None:
        """Load model and processor. Raises `CheckpointError` when the checkpoint is no zero-shot detector."""
        from transformers import AutoConfig, AutoModelForZeroShotObjectDetection, AutoProcessor

        folder = resolve(self._checkpoint)
        try:
            own = AutoConfig.from_pretrained(folder).model_type == omdet.MODEL_TYPE
            self._processor: Any = (omdet.OmDetTurboProcessor if own else AutoProcessor.from_pretrained)(folder)
            self._model: Any = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval().to(device)
        except (ValueError, OSError, KeyError, ImportError) as error:  # a backbone of timm without timm, for one
            raise CheckpointError(
                f"{self._checkpoint} cannot be loaded as a zero-shot object detector: {error}"
            ) from error
        self._device = device

    def fingerprint(self) -> str:
        """Hash of the checkpoint and of what stands for everything."""
        return checkpoint_digest(self._checkpoint)

    def parameters(self) -> dict[str, int]:
        """Parameter count."""
        return {"detector": sum(p.numel() for p in self._model.parameters())}

    def find(self, image: Image, queries: Sequence[str], *, vectors: bool) -> Candidates:
        """See `Detector`; these models give no vectors of their own that could be compared across them."""
        return self.find_all([image], queries, vectors=vectors)[0]

    def find_all(self, images: Sequence[Image], queries: Sequence[str], *, vectors: bool) -> list[Candidates]:
        """As `find` for every image. Those that the processor brings to one size share passes."""
        asked = list(dict.fromkeys(queries)) or list(self._vocabulary)
        shown = [_shown(image) for image in images]
        found: list[_Found] = [_Found([], [], []) for _ in images]
        for start in range(0, len(asked), AT_ONCE):
            some = asked[start : start + AT_ONCE]
            for row, result in self._passes(shown, some):
                found[row].boxes.append(result["boxes"].float().cpu().numpy().reshape(-1, 4))
                found[row].scores.append(result["scores"].float().cpu().numpy().reshape(-1))
                found[row].labels.extend(_phrases(result, some))
        return [self._kept(*each) for each in zip(images, shown, found)]

    def _passes(self, shown: Sequence[Any], queries: list[str]) -> Iterator[tuple[int, Any]]:
        """(row, what its processor found) of every image. Images of different sizes are not padded to go together:
        the backbones see the padding, so that what is found on an image would depend on its neighbours."""
        alike: dict[tuple[int, ...], list[tuple[int, Any]]] = {}
        for row, image in enumerate(shown):
            options = {"return_tensors": "pt", "padding": True, "truncation": True}
            inputs = self._processor(images=[image], text=[queries], **options)
            size = tuple(inputs["pixel_values"].shape[-2:])
            together = alike.setdefault(size, [])
            together.append((row, inputs))
            if (len(together) + 1) * size[0] * size[1] > PASS_PIXELS:
                yield from self._pass(alike.pop(size), shown, queries)
        for together in alike.values():
            yield from self._pass(together, shown, queries)

    def _pass(self, together: list[tuple[int, Any]], shown: Sequence[Any], queries: list[str]) -> list[tuple[int, Any]]:
        rows = [row for row, _ in together]
        inputs = {name: torch.cat([each[name] for _, each in together]).to(self._device) for name in together[0][1]}
        self.runs["detector"] += 1
        with torch.inference_mode():
            outputs = self._model(**inputs)
        beat()
        process = getattr(self._processor, "post_process_grounded_object_detection", None)
        process = process or self._processor.post_process_object_detection
        takes = inspect.signature(process).parameters
        given = {
            "threshold": self._floor,
            "target_sizes": [(shown[row].height, shown[row].width) for row in rows],
            "text_labels": [queries] * len(rows),
            "text_threshold": self._floor,
            "input_ids": inputs.get("input_ids"),
        }
        if "text_labels" in takes and "input_ids" in takes:
            given.pop("text_labels")  # this family reads the labels out of the prompt
        return list(zip(rows, process(outputs, **{name: value for name, value in given.items() if name in takes})))

    def _kept(self, image: Image, shown: Any, found: _Found) -> Candidates:
        """What stands of an image's passes, in its own pixels. Raises `ValueError` for numbers that are none."""
        height, width = image.shape[:2]
        scale = np.array([width / shown.width, height / shown.height] * 2, np.float32)
        box = np.concatenate(found.boxes).astype(np.float32) * scale
        score = np.concatenate(found.scores).astype(np.float32)
        if not len(score):
            return nothing()
        if not np.isfinite(box).all() or not np.isfinite(score).all():
            raise ValueError("the detector returned numbers that are not finite")
        box = box.clip(0, np.array([width, height, width, height], np.float32))
        alive = np.flatnonzero((box[:, 2:] - box[:, :2]).min(1) >= 1)
        names = [found.labels[row] for row in alive]
        kept = [int(alive[row]) for row in suppress(box[alive], score[alive], self._overlap, names)]
        every = Candidates(box, score, found.labels, np.zeros((0, 4), np.float32), np.zeros((0, 0), np.float32))
        return every.take(kept[: self._most])


class _Found(NamedTuple):
    """What the passes over one image found, one array per pass."""

    boxes: list[NDArray[np.float32]]
    scores: list[NDArray[np.float32]]
    labels: list[str]


def _shown(image: Image) -> Any:
    """The image as the processors take it, and not smaller than they can."""
    height, width = image.shape[:2]
    shown = Pictures.fromarray(image)
    if min(height, width) < SMALLEST:
        shown = shown.resize((max(width, SMALLEST), max(height, SMALLEST)))
    return shown


def _phrases(found: Any, queries: list[str]) -> list[str]:
    """The query of every box. Some families return the words of the prompt that lit up: the query they fit best."""
    labels = found.get("text_labels")
    if labels is None:
        labels = found["labels"]
    out = []
    for label in labels:
        if not isinstance(label, str):
            out.append(queries[int(label) % len(queries)])
            continue
        words = set(label.lower().split())
        fits = [len(words & set(query.lower().split())) / max(1, len(set(query.lower().split()))) for query in queries]
        out.append(label if label in queries else queries[int(np.argmax(fits))])
    return out
