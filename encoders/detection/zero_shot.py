"""`ZeroShotDetector`: any zero-shot object detector of `transformers` behind the same interface.

Grounding DINO, MM-Grounding-DINO, OmDet-Turbo, OWLv2 and OWL-ViT were tried with tiny checkpoints. They differ in how
queries go in and results come out; each family's processor does both.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pictures

from encoders.checkpoints.errors import CheckpointError
from encoders.checkpoints.resolve import checkpoint_digest, resolve
from encoders.detection.candidates import Candidates, Image, nothing, suppress

AT_ONCE = 24  # queries of one pass: text encoders of these models take a few hundred tokens
EVERYTHING = Path(__file__).with_name("vocabulary.txt")
SMALLEST = 8  # pixels; their processors fail on less


class ZeroShotDetector:
    """Finds what phrases name. Without phrases, those of ``vocabulary`` are looked for."""

    def __init__(self, checkpoint: str, vocabulary: Sequence[str], *, floor: float, overlap: float, most: int) -> None:
        self._checkpoint, self._vocabulary = checkpoint, tuple(vocabulary)
        self._floor, self._overlap, self._most = floor, overlap, most

    def load(self, device: str) -> None:
        """Load model and processor. Raises `CheckpointError` when the checkpoint is no zero-shot detector."""
        from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

        folder = resolve(self._checkpoint)
        try:
            self._processor: Any = AutoProcessor.from_pretrained(folder)
            self._model: Any = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval().to(device)
        except (ValueError, OSError, KeyError, ImportError) as error:  # OmDet-Turbo's processor wants torchvision
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
        asked = list(dict.fromkeys(queries)) or list(self._vocabulary)
        height, width = image.shape[:2]
        shown = Pictures.fromarray(image)
        if min(height, width) < SMALLEST:
            shown = shown.resize((max(width, SMALLEST), max(height, SMALLEST)))
        boxes, scores, labels = [], [], []
        for start in range(0, len(asked), AT_ONCE):
            some = asked[start : start + AT_ONCE]
            found = self._pass(shown, some)
            boxes.append(found["boxes"].float().cpu().numpy().reshape(-1, 4))
            scores.append(found["scores"].float().cpu().numpy().reshape(-1))
            labels += _phrases(found, some)
        box = np.concatenate(boxes).astype(np.float32) * np.array(
            [width / shown.width, height / shown.height] * 2, np.float32
        )
        score = np.concatenate(scores).astype(np.float32)
        if not len(score):
            return nothing()
        if not np.isfinite(box).all() or not np.isfinite(score).all():
            raise ValueError("the detector returned numbers that are not finite")
        box = box.clip(0, np.array([width, height, width, height], np.float32))
        alive = np.flatnonzero((box[:, 2:] - box[:, :2]).min(1) >= 1)
        kept = [
            int(alive[row]) for row in suppress(box[alive], score[alive], self._overlap, [labels[row] for row in alive])
        ]
        found_all = Candidates(box, score, labels, np.zeros((0, 4), np.float32), np.zeros((0, 0), np.float32))
        return found_all.take(kept[: self._most])

    def _pass(self, image: Any, queries: list[str]) -> Any:
        inputs = self._processor(images=image, text=[queries], return_tensors="pt", padding=True, truncation=True).to(
            self._device
        )
        with torch.inference_mode():
            outputs = self._model(**inputs)
        process = getattr(self._processor, "post_process_grounded_object_detection", None)
        process = process or self._processor.post_process_object_detection
        takes = inspect.signature(process).parameters
        given = {
            "threshold": self._floor,
            "target_sizes": [(image.height, image.width)],
            "text_labels": [queries],
            "text_threshold": self._floor,
            "input_ids": inputs.get("input_ids"),
        }
        if "text_labels" in takes and "input_ids" in takes:
            given.pop("text_labels")  # this family reads the labels out of the prompt
        return process(outputs, **{name: value for name, value in given.items() if name in takes})[0]


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
