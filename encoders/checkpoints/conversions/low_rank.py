"""A decoder that is tuned: a base, and the low-rank difference that ships beside this package's code."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file

from encoders.checkpoints.conversions.files import write_weights
from encoders.checkpoints.eight_bit import unpacked

DIFFERENCE = Path(__file__).parents[2] / "hybrid" / "difference.safetensors"
_WEIGHTS = "model.safetensors"
_A, _B = ".a", ".b"


def add_difference(base: Path, target: Path) -> None:
    """The files of a transformers folder, its weights with the shipped difference added."""
    for path in sorted(base.iterdir()):
        if path.name != _WEIGHTS:
            shutil.copyfile(path, target / path.name)
    write_weights(merged(load_file(base / _WEIGHTS), unpacked(load_file(DIFFERENCE))), target)


def merged(base: Mapping[str, torch.Tensor], difference: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a base with a difference added, in the base's dtype.

    ``difference`` holds for a weight [out, in] NAME.a [r, in] and NAME.b [out, r]. Computed in float64, so that every
    machine rounds to the same weights. Raises `ValueError` for a difference of other weights than the base has.
    """
    weights = dict(base)
    for name, value in difference.items():
        if not name.endswith(_A):
            continue
        target = name.removesuffix(_A)
        added = difference[target + _B].double() @ value.double()
        if target not in weights or weights[target].shape != added.shape:
            raise ValueError(f"the difference does not fit: {target} of shape {tuple(added.shape)}")
        weights[target] = (weights[target].double() + added).to(weights[target].dtype)
    return weights
