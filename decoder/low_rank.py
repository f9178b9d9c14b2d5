"""A decoder as a base and a low-rank difference: every linear layer's weight plus the product of two thin matrices."""

from __future__ import annotations

from collections.abc import Mapping

import torch

_A, _B = ".a", ".b"


def merged(base: Mapping[str, torch.Tensor], difference: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a base with a difference added, in the base's dtype.

    ``difference`` holds for a weight [out, in] NAME.a [r, in] and NAME.b [out, r]. Computed in float64, so that every machine rounds to the same weights. Raises `ValueError` for a
    difference of other weights than the base has.
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
