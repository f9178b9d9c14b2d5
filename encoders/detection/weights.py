"""The default weights: int8 with a scale per output channel, and both networks out of them, ready to run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from encoders.detection.network import Conv

WEIGHTS = Path(__file__).with_name("weights.safetensors")
SCALE = ".scale"


def quantised(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices and kernels as int8 with a float16 scale per output channel; the rest as float16."""
    out: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value.ndim > 1 and value.shape[0] > 1:
            wide = value.float().flatten(1)
            scale = (wide.abs().amax(1) / 127).clamp(min=1e-8).half().float().clamp(min=6e-8)
            out[name] = (wide / scale[:, None]).round().clamp(-127, 127).to(torch.int8).view(value.shape)
            out[name + SCALE] = scale.half()
        else:
            out[name] = value.half()
    return out


def restored(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `quantised`, in float32."""
    out = {}
    for name, value in weights.items():
        if name.endswith(SCALE):
            continue
        scale = weights.get(name + SCALE)
        out[name] = value.float() if scale is None else value.float() * scale.float().view(-1, *[1] * (value.ndim - 1))
    return out


def save_weights(path: Path, finder: dict[str, Tensor], namer: dict[str, Tensor], more: dict[str, Tensor]) -> None:
    """Both networks in one file."""
    both = {f"finder.{n}": v for n, v in finder.items()} | {f"namer.{n}": v for n, v in namer.items()}
    save_file({**quantised(both), **more}, path)


def load_weights(path: Path = WEIGHTS) -> dict[str, Tensor]:
    """All tensors of the file in float32, by the names that `save_weights` gave them."""
    return restored(load_file(path))


def sha256(path: Path = WEIGHTS) -> str:
    """Hash of the file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors of one network."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def fuse(network: nn.Module) -> nn.Module:
    """Fold every batch normalisation into the convolution before it; for inference only."""
    for module in network.modules():
        if isinstance(module, Conv) and isinstance(module[1], nn.BatchNorm2d):
            module[0] = torch.nn.utils.fuse_conv_bn_eval(module[0], module[1])
            module[1] = nn.Identity()
    return network
