"""How many rows a matrix product may have and still give each row the same bits, measured on this machine.

CPU libraries choose other kernels for other numbers of rows, and other kernels sum in another order. Which numbers
are alike depends on the processor, the dtype, the threads and how weights lie in memory. On a Xeon with AMX, one
thread: float32 with weights stored [in, out] is alike up to the 320 rows that are tried, with two threads up to 16;
stored as checkpoints have them [out, in], up to 15. bfloat16 is alike up to 32 rows as stored, and 24 otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import nn
from torch.nn.functional import linear

_LEVELS = {
    16: (3, 4, 5, 7, 8, 9, 12, 15, 16),
    32: (17, 20, 24, 25, 31, 32),
    64: (33, 40, 47, 48, 63, 64),
    320: (65, 100, 128, 191, 255, 256, 257, 288, 320),
}
HEAD_ROWS = 64
"""Most rows that ask for logits in one pass: the head is large, so it is tried no further."""


def arrange(model: nn.Module, head: nn.Module) -> int:
    """Lay every linear layer's weight out so that most rows are alike; returns how many are, 1 when none.

    Keeps the weights' shapes. A head that is tied to the embedding gets its own copy when it is laid out anew:
    looking up columns would be slow.
    """
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    weights: dict[tuple[int, ...], tuple[torch.Tensor, int]] = {}
    for module in linears:
        weights.setdefault(tuple(module.weight.shape), (module.weight, HEAD_ROWS if module is head else max(_LEVELS)))
    inputs_first = alike_rows((_inputs_first(weight), most) for weight, most in weights.values())
    as_stored = alike_rows(weights.values()) if inputs_first < max(_LEVELS) else 1
    if inputs_first >= as_stored:  # also faster for some numbers of rows
        for module in linears:
            module.weight = nn.Parameter(_inputs_first(module.weight.detach()), requires_grad=False)
    return max(inputs_first, as_stored)


def alike_rows(weights: Iterable[tuple[torch.Tensor, int]]) -> int:
    """The most rows up to which products with all weights give the same bits as pairs of rows do.

    Each weight is tried up to its own number of rows; one that is alike that far does not limit the others.
    """
    most = max(_LEVELS)
    for weight, tried in weights:
        tried = min(tried, most)
        found = _alike(weight, tried)
        if found < tried:
            most = found
    return most


def _alike(weight: torch.Tensor, tried: int) -> int:
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(tried, weight.shape[1], generator=random).to(weight.dtype)
    with torch.inference_mode():
        pairs = rows.new_empty(0, weight.shape[0])
        found = 1
        for level, counts in _levels(tried):
            pairs = torch.cat([pairs, *(linear(pair, weight) for pair in rows[len(pairs) : level].split(2))])
            if not all(torch.equal(linear(rows[:count], weight), pairs[:count]) for count in counts):
                break
            found = level
    return found


def _levels(tried: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    for level, counts in _LEVELS.items():
        if level <= tried:
            yield level, counts


def _inputs_first(weight: torch.Tensor) -> torch.Tensor:
    return weight.t().contiguous().t()
