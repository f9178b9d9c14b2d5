"""Writing the files of a converted checkpoint so that the same content is the same bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def copy_all(sources: Path, target: Path) -> None:
    """Every file of ``sources``, under the same relative path."""
    for path in sorted(sources.rglob("*")):
        if path.is_file():
            copy = target / path.relative_to(sources)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def write_json(content: Any, path: Path) -> None:
    """As readable JSON, in the order given."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def write_weights(tensors: Mapping[str, torch.Tensor], folder: Path) -> None:
    """``model.safetensors`` as transformers reads it. The format itself orders by dtype and name."""
    from safetensors.torch import save_file

    dense = {name: tensor.detach().contiguous() for name, tensor in sorted(tensors.items())}
    save_file(dense, folder / "model.safetensors", metadata={"format": "pt"})
