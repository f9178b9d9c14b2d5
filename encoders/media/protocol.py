"""What the opener and its child say to each other, and the shared memory in which pixels and samples travel.

Messages go over a socket pair as pickles. Arrays go through `SLOTS` slots of one anonymous memory file, so
that the child fills one slot while the caller reads another; nothing has a name in /dev/shm, and the memory is
gone when both processes are.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.failures import Failure
from encoders.media.opened import AudioWindow, OpenedPage, Probe

SLOTS = 3
SAMPLE_RATE = 16_000
WINDOW_SECONDS = 30
MAX_CHANNELS = 16  # a recording with more is mixed down; call recorders write 2, meeting rooms up to 8
KEEP_BYTES = 64 << 20  # a slot that held more than this gives its memory back after use


@dataclass(frozen=True, slots=True)
class Request:
    """One part to open, with every setting the child needs (plain values: the child imports no pydantic)."""

    verb: str  # probe | pages | audio
    uri: str
    media_type: str
    path: str | None  # None: the bytes follow as a file descriptor
    start: float
    stop: float | None
    password: str | None
    dpi: int
    max_pixels: int
    ocr: str
    channels: str
    max_image_pixels: int
    max_pages: int
    max_hours: float
    max_unpacked: int  # bytes
    page_seconds: float
    cpu_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Began:
    """The child starts on a unit: a page (from 1), a window (by its start in seconds), or the file (None)."""

    unit: float | None
    at: float  # CLOCK_MONOTONIC, which both processes share
    cpu: float  # CPU seconds of the child so far


@dataclass(frozen=True, slots=True)
class Extent:
    """What the part covers, once the file is open: pages [start, stop) from 0, or seconds."""

    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Delivered:
    """A value; its array, if it has one, lies in ``slot`` until the opener sends the slot's number back."""

    value: OpenedPage | AudioWindow | Probe
    slot: int | None = None
    shape: tuple[int, ...] = ()
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """A unit, or with ``page`` None the rest of the part, could not be opened."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Done:
    """The part is finished. ``retire`` asks for a fresh child, e.g. after memory ran out."""

    retire: bool = False


CANCEL = -1
"""Sent in place of a slot number when nobody wants the rest of the part."""


class SharedSlots:
    """The memory between opener and child: `SLOTS` equal slots, allocated by the kernel as they are touched."""

    def __init__(self, fd: int, slot_bytes: int) -> None:
        self.slot_bytes = slot_bytes
        self._map = mmap.mmap(fd, slot_bytes * SLOTS)

    @staticmethod
    def create(slot_bytes: int) -> int:
        """A memory file of the right size; returns its descriptor."""
        fd = os.memfd_create("interlace-media", os.MFD_CLOEXEC)
        os.ftruncate(fd, slot_bytes * SLOTS)
        return fd

    def write(self, slot: int, array: NDArray[Any]) -> None:
        """Copy an array into a slot. Raises MemoryError when it does not fit."""
        if array.nbytes > self.slot_bytes:
            raise MemoryError(f"{array.nbytes} bytes do not fit into a slot of {self.slot_bytes}")
        self._view(slot, array.shape, array.dtype.str)[...] = array

    def read(self, slot: int, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """A copy of the array in a slot, so that the slot is free at once."""
        array = self._view(slot, shape, dtype).copy()
        if array.nbytes > KEEP_BYTES:
            self._map.madvise(mmap.MADV_REMOVE, slot * self.slot_bytes, self.slot_bytes)
        return array

    def close(self) -> None:
        """Unmap the memory."""
        self._map.close()

    def _view(self, slot: int, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        return np.ndarray(shape, dtype, self._map, slot * self.slot_bytes)


def slot_bytes(max_pixels: int) -> int:
    """Room for one page of ``max_pixels`` or one window of `MAX_CHANNELS`, in whole memory pages."""
    needed = max(max_pixels * 3, WINDOW_SECONDS * SAMPLE_RATE * MAX_CHANNELS * 2)
    return -(-needed // mmap.PAGESIZE) * mmap.PAGESIZE
