"""Batches on their way from a loader's process to the device: one stretch of memory, not one for every tensor.

A tensor that changes processes is a file to open and map, and one that goes to a device a copy to launch: with sixty
of each the training process would do little else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, Self, TypeVar, cast

import torch

_ALIGNED = 64  # bytes
T = TypeVar("T")


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same with ``change`` applied to all that is not a dataclass, a dict or a list."""
    if is_dataclass(value) and not isinstance(value, type | _Slot):
        return type(value)(**{one.name: mapped(getattr(value, one.name), change) for one in fields(value)})
    if isinstance(value, dict):
        return {key: mapped(one, change) for key, one in value.items()}
    if isinstance(value, list):
        return [mapped(one, change) for one in value]
    return change(value)


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a tensor lies."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Parcel(Generic[T]):
    """Dataclasses, dicts and lists with tensors, as ``form``, which has none, and one tensor of bytes."""

    form: Any
    memory: torch.Tensor

    @classmethod
    def of(cls, value: T) -> Parcel[T]:
        """Packed; the tensors are copied."""
        found: list[tuple[_Slot, torch.Tensor]] = []

        def placed(one: Any) -> Any:
            if not isinstance(one, torch.Tensor):
                return one
            start = -(-(found[-1][0].stop if found else 0) // _ALIGNED) * _ALIGNED
            slot = _Slot(one.dtype, tuple(one.shape), start, start + one.numel() * one.element_size())
            found.append((slot, one))
            return slot

        form = mapped(value, placed)
        memory = torch.empty(found[-1][0].stop if found else 0, dtype=torch.uint8)
        for slot, tensor in found:
            _laid(memory, slot).copy_(tensor)
        return cls(form, memory)

    def pin_memory(self) -> Self:
        """In memory that a device reads by itself; the loader's thread asks for it."""
        return type(self)(self.form, self.memory.pin_memory())

    def to(self, device: torch.device) -> T:
        """Unpacked on a device, by one copy."""
        memory = self.memory.to(device, non_blocking=True)
        return cast(T, mapped(self.form, lambda one: _laid(memory, one) if isinstance(one, _Slot) else one))


def _laid(memory: torch.Tensor, slot: _Slot) -> torch.Tensor:
    return memory[slot.start : slot.stop].view(slot.dtype).view(slot.shape)
