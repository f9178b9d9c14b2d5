"""The key-value cache: a bounded arena of token places, and ranges of it that sequences hold."""

from __future__ import annotations

import torch

Block = dict[int, tuple[torch.Tensor, torch.Tensor]]  # layer -> keys and values [kv_heads, n, d] of n tokens
LayerShapes = dict[int, tuple[int, int, int]]  # layer -> kv heads, key width, value width


class KeyValueCache:
    """Keys and values of every layer, [kv_heads, places, d] each, reserved once and never grown.

    A sequence takes one range for all the tokens that it may ever have, so nothing that was admitted can run out of
    places. First fit from the start keeps the range in use, and with it the memory that is touched, short.
    """

    def __init__(self, layers: LayerShapes, places: int, dtype: torch.dtype, device: torch.device) -> None:
        # Zeros on CUDA, where masked rows are multiplied by a weight of 0 and must not be NaN; on CPU rows that were
        # never written are never read, and memory that is never touched is never taken from the system.
        new = torch.zeros if device.type == "cuda" else torch.empty
        self.places, self.dtype = places, dtype
        self.spare = places  # one more, which is never read: the filling rows of a recorded pass write there
        held = places + 1
        self.keys: dict[int, torch.Tensor] = {}
        self.values: dict[int, torch.Tensor] = {}
        for layer, (heads, key_width, value_width) in layers.items():
            self.keys[layer] = new(heads, held, key_width, dtype=dtype, device=device)
            self.values[layer] = new(heads, held, value_width, dtype=dtype, device=device)
        self._free = [(0, places)]  # [start, stop) in order, never touching each other

    @property
    def free(self) -> int:
        """Places that no sequence holds."""
        return sum(stop - start for start, stop in self._free)

    def take(self, count: int) -> int | None:
        """The start of a range of ``count`` places, None when there is no room for it now."""
        for index, (start, stop) in enumerate(self._free):
            if stop - start >= count:
                self._free[index : index + 1] = [(start + count, stop)] if stop - start > count else []
                return start
        return None

    def give_back(self, start: int, count: int) -> None:
        """Free a range."""
        merged: list[tuple[int, int]] = []
        for begin, end in sorted([*self._free, (start, start + count)]):
            if merged and merged[-1][1] == begin:
                merged[-1] = (merged[-1][0], end)
            else:
                merged.append((begin, end))
        self._free = merged

    def read(self, start: int, count: int) -> Block:
        """A copy of what stands in a range."""
        part = slice(start, start + count)
        return {layer: (self.keys[layer][:, part].clone(), self.values[layer][:, part].clone()) for layer in self.keys}

    def write(self, start: int, block: Block) -> None:
        """Put a block that `read` returned at another place."""
        for layer, (keys, values) in block.items():
            part = slice(start, start + keys.shape[1])
            self.keys[layer][:, part] = keys
            self.values[layer][:, part] = values
