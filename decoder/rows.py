"""How many rows a matrix product may have and still give each row the same bits, measured on this machine.

CPU libraries choose other kernels for other numbers of rows, and other kernels sum in another order. Which numbers
are alike depends on the processor, the dtype, the threads and how weights lie in memory, so several ways to lay them
are tried, the quickest first. On a Xeon with AMX: weights packed by oneDNN are alike up to the 320 rows that are tried
in float32 and up to 32 in bfloat16; stored as [in, out], 320 (with two threads 16) and 24; as checkpoints have them
[out, in], 15 and 32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn

_LEVELS = {
    16: (3, 4, 5, 7, 8, 9, 12, 15, 16),
    32: (17, 20, 24, 25, 31, 32),
    64: (33, 40, 47, 48, 63, 64),
    320: (65, 100, 128, 191, 255, 256, 257, 288, 320),
}
HEAD_ROWS = 64
"""Most rows that ask for logits in one pass: the head is large, so it is tried no further."""


_ENOUGH = 32  # as many sequences as run at once by default; a slower way would gain little
Lay = Callable[[nn.Linear], nn.Module]
"""Gives the linear layer with its weight laid out anew: the same one, or another in its place."""


class PackedLinear(nn.Module):
    """A linear layer whose weight oneDNN has packed for its kernels once, not in every product anew.

    Raises `RuntimeError` where oneDNN does not have the dtype, `AttributeError` in builds of torch without it.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        self._bias = linear.bias
        self._product = torch.ops.mkldnn._linear_pointwise

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out]."""
        product: torch.Tensor = self._product(rows, self._packed, self._bias, "none", [], "")
        return product


def inputs_first(linear: nn.Linear) -> nn.Module:
    """The weight stored as [in, out]; its shape stays."""
    linear.weight = nn.Parameter(linear.weight.detach().t().contiguous().t(), requires_grad=False)
    return linear


def as_stored(linear: nn.Linear) -> nn.Module:
    """The weight as the checkpoint has it."""
    return linear


def arrange(model: nn.Module, head: nn.Module) -> int:
    """Lay every linear layer's weight out so that enough rows are alike, or most; returns how many are, 1 when none.

    A head that is tied to the embedding gets its own copy when it is laid out anew: looking up columns would be slow.
    """
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    weights: dict[tuple[int, ...], tuple[torch.Tensor, int]] = {}
    for module in linears:
        weights.setdefault(tuple(module.weight.shape), (module.weight, HEAD_ROWS if module is head else max(_LEVELS)))
    ways: list[Lay] = [inputs_first, as_stored]
    if all(type(module) is nn.Linear for module in linears):  # others compute in their own way
        ways.insert(0, PackedLinear)
    most = 0
    best: Lay = as_stored
    for lay in ways:
        if most < _ENOUGH and (found := alike_rows(weights.values(), lay)) > most:
            most, best = found, lay
    for parent in list(model.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.Linear):
                setattr(parent, name, best(module))
    return most


def alike_rows(weights: Iterable[tuple[torch.Tensor, int]], lay: Lay) -> int:
    """The most rows up to which products with all weights, laid out so, give the same bits as pairs of rows do; 0 where
    they cannot be laid out so.

    Each weight is tried up to its own number of rows; one that is alike that far does not limit the others.
    """
    most = max(_LEVELS)
    for weight, tried in weights:
        tried = min(tried, most)
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        linear.weight = nn.Parameter(weight.detach(), requires_grad=False)
        try:
            found = _alike(lay(linear), weight, tried)
        except (AttributeError, RuntimeError):
            return 0
        if found < tried:
            most = found
    return most


def _alike(product: Callable[[torch.Tensor], torch.Tensor], weight: torch.Tensor, tried: int) -> int:
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(tried, weight.shape[1], generator=random).to(weight.dtype)
    with torch.inference_mode():
        pairs = rows.new_empty(0, weight.shape[0])
        found = 1
        for level, counts in _levels(tried):
            pairs = torch.cat([pairs, *(product(pair) for pair in rows[len(pairs) : level].split(2))])
            if not all(torch.equal(product(rows[:count]), pairs[:count]) for count in counts):
                break
            found = level
    return found


def _levels(tried: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    for level, counts in _LEVELS.items():
        if level <= tried:
            yield level, counts
