"""What a network for CUDA computes at once although its model spells it out: norms, and products with one input."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear, rms_norm

_TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))  # as models name them, in the order of calls


@torch.inference_mode()
def fuse_norms(model: nn.Module, beside: Collection[nn.Module] = ()) -> None:
    """Have norms over the root mean square computed by torch's one kernel instead of the six that models spell out;
    only those that give the same values, for some models scale differently. Not those within ``beside``."""
    left = {module for parent in beside for module in parent.modules()}
    for module in model.modules():
        weight, epsilon = getattr(module, "weight", None), getattr(module, "variance_epsilon", None)
        if not type(module).__name__.endswith("RMSNorm") or weight is None or epsilon is None or module in left:
            continue
        rows = torch.linspace(-3, 3, 2 * weight.numel(), dtype=weight.dtype, device=weight.device).view(2, -1)
        fused = partial(rms_norm, normalized_shape=tuple(weight.shape), weight=weight, eps=epsilon)
        if torch.allclose(module(rows), fused(rows), rtol=0.02, atol=0.02):
            module.forward = fused


class Whole:
    """Several linear layers of one input as one product, whose parts are asked for one after the other."""

    def __init__(self, linears: list[nn.Linear]) -> None:
        self.weight = torch.cat([one.weight.detach() for one in linears])
        biases = [one.bias for one in linears if one.bias is not None]
        self.bias = torch.cat([bias.detach() for bias in biases]) if biases else None
        self.product: torch.Tensor | None = None  # of the call under way


class Part(nn.Module):
    """One of the linear layers of a `Whole`: its rows ``start`` to ``stop``."""

    def __init__(self, whole: Whole, start: int, stop: int) -> None:
        super().__init__()
        self._whole, self._start, self._stop = whole, start, stop
        self._first, self._last = start == 0, stop == len(whole.weight)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out]; the first part computes the product for all."""
        whole = self._whole
        if self._first:
            whole.product = linear(rows, whole.weight, whole.bias)
        product = whole.product
        assert product is not None
        if self._last:
            whole.product = None
        return product.narrow(-1, self._start, self._stop - self._start)


def fuse_products(model: nn.Module) -> int:
    """Have queries, keys and values computed by one product, and gates with what they gate; returns how many products
    took the place of several. The weights are copied once and freed, each kind with its like only."""
    made = 0
    for parent, names in _groups(model):
        linears = [getattr(parent, name) for name in names]
        whole, start = Whole(linears), 0
        for name, one in zip(names, linears, strict=True):
            setattr(parent, name, Part(whole, start, start + one.out_features))
            start += one.out_features
        made += 1
    return made


def _groups(model: nn.Module) -> Iterator[tuple[nn.Module, tuple[str, ...]]]:
    for parent in list(model.modules()):
        for names in _TOGETHER:
            found: list[Any] = [getattr(parent, name, None) for name in names]
            linears: list[nn.Linear] = [one for one in found if type(one) is nn.Linear]
            shapes = {(one.in_features, one.bias is None, one.weight.dtype) for one in linears}
            if len(linears) == len(names) and len(shapes) == 1:
                yield parent, names
