"""Weights as they ship: matrices in eight bits with a scale a row, everything else in float16."""

from __future__ import annotations

from collections.abc import Mapping

import torch

_SCALE = ".scale"


def packed(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Matrices and kernels [out, ...] as int8 NAME and float32 NAME.scale [out]; vectors as float16."""
    found: dict[str, torch.Tensor] = {}
    for name, value in weights.items():
        if value.ndim < 2:
            found[name] = value.half().contiguous()
            continue
        rows = value.float().flatten(1)
        scale = rows.abs().amax(dim=1).clamp(min=1e-12) / 127
        found[name] = (rows / scale[:, None]).round().to(torch.int8).view(value.shape).contiguous()
        found[name + _SCALE] = scale
    return found


def unpacked(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What `packed` rounded, in float32; weights that it did not make stay as they are."""
    found: dict[str, torch.Tensor] = {}
    for name, value in stored.items():
        if name.endswith(_SCALE) and name.removesuffix(_SCALE) in stored:
            continue
        if name + _SCALE in stored:
            scale = stored[name + _SCALE].view(-1, *(1,) * (value.ndim - 1))
            found[name] = value.float() * scale
        else:
            found[name] = value.float()
    return found
