"""A connection on which arrays travel in shared memory; each end allocates for what it sends.

A block of memory is written by its owner, looked at by the other end without a copy, and free again once nothing there
refers to it: the other end says so with its next message. Nothing has a name in the file system.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_LEAST = 1 << 20
_ALIGNMENT = 64
_KEPT = 64 << 20
"""A block larger than this gives its pages back while it is free."""


class _Laid(NamedTuple):
    """Where an array lies in its block."""

    dtype: str
    shape: tuple[int, ...]
    start: int


class _Letter(NamedTuple):
    """What goes over the socket."""

    message: Any
    block: int | None  # that holds the arrays
    new: int  # bytes of the block, when its handle follows; else 0
    laid: list[_Laid]
    seen: list[int]  # blocks of the receiver that the sender is done with


class Channel:
    """One end. Not for several threads at once. Raises `EOFError` or `OSError` when the other end is gone."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ours: dict[int, mmap.mmap] = {}
        self._free: set[int] = set()
        self._theirs: dict[int, mmap.mmap] = {}
        self._seen: list[int] = []  # finalizers append to it, in whatever thread

    def send(self, message: Any, arrays: Sequence[NDArray[Any]] = ()) -> None:
        """Send anything that can be pickled, and arrays of numbers."""
        laid, end = [], 0
        for array in arrays:
            laid.append(_Laid(array.dtype.str, array.shape, end))
            end += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        number = self._take(end) if end else None
        new = 0 if number is None or number in self._ours else _size_for(end)
        handle = None
        if new and number is not None:
            handle = os.memfd_create("interlace-card", os.MFD_CLOEXEC)
            os.ftruncate(handle, new)
            self._ours[number] = mmap.mmap(handle, new)
        try:
            if number is not None:
                for array, (_, shape, start) in zip(arrays, laid, strict=True):
                    np.ndarray(shape, array.dtype, self._ours[number], start)[...] = array
            seen, self._seen[:] = list(self._seen), []
            self._connection.send(_Letter(message, number, new, laid, seen))
            if handle is not None:
                send_handle(self._connection, handle, 0)
        finally:
            if handle is not None:
                os.close(handle)

    def receive(self) -> tuple[Any, list[NDArray[Any]]]:
        """The next message, and its arrays; they may be kept, and written to."""
        letter: _Letter = self._connection.recv()
        for number in letter.seen:
            self._give_back(number)
        if letter.block is None:
            return letter.message, [np.empty(shape, dtype) for dtype, shape, _ in letter.laid]
        if letter.new:
            handle = recv_handle(self._connection)
            try:
                self._theirs[letter.block] = mmap.mmap(handle, letter.new)
            finally:
                os.close(handle)
        whole = np.frombuffer(self._theirs[letter.block], np.uint8)
        weakref.finalize(whole, self._seen.append, letter.block).atexit = False
        views = []
        for dtype, shape, start in letter.laid:
            count = int(np.prod(shape)) * np.dtype(dtype).itemsize
            views.append(whole[start : start + count].view(dtype).reshape(shape))
        return letter.message, views

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _take(self, size: int) -> int:
        """The smallest free block that holds so many bytes, or the number of one that is to be made."""
        fitting = [number for number in self._free if len(self._ours[number]) >= size]
        if not fitting:
            return len(self._ours)
        chosen = min(fitting, key=lambda number: len(self._ours[number]))
        self._free.remove(chosen)
        return chosen

    def _give_back(self, number: int) -> None:
        block = self._ours[number]
        if len(block) > _KEPT:
            block.madvise(mmap.MADV_REMOVE)
        self._free.add(number)


def _size_for(size: int) -> int:
    """Bytes of a new block: a power of two, so that few sizes serve many messages."""
    return max(_LEAST, 1 << (size - 1).bit_length())
