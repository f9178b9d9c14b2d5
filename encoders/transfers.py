"""Between a host and its GPU: copies that do not make the host wait, and one wait for all that is wanted back.

Processes take turns on a card, so that each wait may last as long as all others' turns; a plain `.to(device)` or
`.cpu()` is one. On CPU tensors all of this is nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns torch's out-of-memory error into `MemoryError` and frees what the failed call had cached."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise MemoryError(str(error)) from error


def to_card(array: NDArray[Any], device: torch.device) -> Tensor:
    """The array on ``device``. PyTorch keeps the pinned memory on the way until the copy is done."""
    tensor = torch.from_numpy(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


_SCHEDULE, _BLOCKING = 0x07, 0x04  # of a context's flags: how a thread waits, and that it blocks


def block_waits(device: str) -> bool:
    """Have every wait of this process for its card let the core go, those of PyTorch and cuDNN's own too, which spin
    otherwise. Returns whether the driver took it; without a driver, or with one that refuses, nothing changes."""
    handle, flags, active = ctypes.c_int(), ctypes.c_uint(), ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        return not (
            driver.cuInit(0)
            or driver.cuDeviceGet(ctypes.byref(handle), int(device.partition(":")[2] or 0))
            or driver.cuDevicePrimaryCtxGetState(handle, ctypes.byref(flags), ctypes.byref(active))
            or driver.cuDevicePrimaryCtxSetFlags_v2(handle, flags.value & ~_SCHEDULE | _BLOCKING)
        )
    except (OSError, AttributeError):
        return False


class Fetch:
    """Tensors on their way to the host, in pinned memory that PyTorch keeps for the next ones."""

    def __init__(self, *tensors: Tensor) -> None:
        self._done: torch.cuda.Event | None = None
        self._here = list(tensors)
        if tensors and tensors[0].device.type != "cpu":
            self._here = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
            for here, tensor in zip(self._here, tensors, strict=True):
                here.copy_(tensor, non_blocking=True)
            # Without ``blocking`` the wait keeps a core busy, which the process that opens files could use.
            self._done = torch.cuda.Event(blocking=True)
            self._done.record(torch.cuda.current_stream(tensors[0].device))

    def wait(self) -> list[NDArray[Any]]:
        """The arrays, in the order of the tensors."""
        if self._done is not None:
            self._done.synchronize()
        return [np.asarray(tensor.numpy()) for tensor in self._here]
