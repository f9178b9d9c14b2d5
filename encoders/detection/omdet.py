"""`OmDetTurboProcessor`: what goes into OmDet-Turbo and comes out of it, without torchvision.

The processor of `transformers` asks for torchvision, of which it uses one thing, suppression, that Interlace does after
every detector. Its image processor exists on Pillow as well, its tokenizer is CLIP's; so both are used as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MODEL_TYPE = "omdet-turbo"
_LONGEST = 77  # tokens of a task or class: what the checkpoints were trained with


class OmDetTurboProcessor:
    """The two steps that `ZeroShotDetector` takes of every family's processor."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoImageProcessor, AutoTokenizer

        self._images: Any = AutoImageProcessor.from_pretrained(folder, backend="pil")
        self._tokens: Any = AutoTokenizer.from_pretrained(folder)

    def __call__(self, images: Sequence[Any], text: Sequence[Sequence[str]], **_: Any) -> Any:
        """Tensors for images of any sizes, each with its list of classes; the task is to detect all of these."""
        seen = self._images(images, return_tensors="pt")
        seen.update(self._tokenized("tasks", [f"Detect {', '.join(classes)}." for classes in text]))
        seen.update(self._tokenized("classes", [name for classes in text for name in classes]))
        seen["classes_structure"] = torch.tensor([len(classes) for classes in text])
        return seen

    def _tokenized(self, name: str, texts: list[str]) -> dict[str, Tensor]:
        most = min(_LONGEST, self._tokens.model_max_length)
        tokens = self._tokens(texts, padding="max_length", truncation=True, max_length=most, return_tensors="pt")
        return {f"{name}_{part}": tokens[part] for part in ("input_ids", "attention_mask")}

    def post_process_object_detection(
        self, outputs: Any, threshold: float, target_sizes: Sequence[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Boxes in pixels of ``target_sizes`` (height, width), scores, and labels that count the image's classes."""
        found = []
        for boxes, logits, classes, (height, width) in zip(
            outputs.decoder_coord_logits, outputs.decoder_class_logits, outputs.classes_structure, target_sizes
        ):
            scores = logits[:, : int(classes)].sigmoid()  # shorter lists of classes are padded
            best, at = scores.flatten().topk(min(len(boxes), scores.numel()))
            best, at = best[best > threshold], at[best > threshold]
            middle, half = boxes[at // int(classes)].float().split(2, 1)
            corners = torch.cat((middle - half / 2, middle + half / 2), 1)
            size = corners.new_tensor([width, height, width, height])
            found.append({"boxes": corners * size, "scores": best, "labels": at % int(classes)})
        return found
