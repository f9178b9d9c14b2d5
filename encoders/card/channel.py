"""A connection on which arrays travel in shared memory; each end allocates for what it sends.

A block of memory is written by its owner, looked at by the other end without a copy, and free again once nothing there
refers to it: the other end says so with its next message. Nothing has a name in the file system.
"""

from __future__ import annotations

import mmap
import os
import select
import weakref
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.heartbeat import beat

_LEAST = 1 << 20
_ALIGNMENT = 64
_KEPT = 64 << 20
"""A block larger than this gives its pages back while it is free."""
_BEAT_SECONDS = 5.0


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
        self._seen: deque[int] = deque()  # finalizers append to it, in whatever thread and at whatever moment
        self._read, self._write = select.poll(), select.poll()
        self._read.register(connection.fileno(), select.POLLIN)
        self._write.register(connection.fileno(), select.POLLOUT)

    def send(self, message: Any, arrays: Sequence[NDArray[Any]] = ()) -> None:
        """Send anything that can be pickled, and arrays of numbers. Raises `MemoryError` where no memory can be shared;
        nothing was sent then."""
        laid, end = [], 0
        for array in arrays:
            laid.append(_Laid(array.dtype.str, array.shape, end))
            end += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        number, handle = self._take(end) if end else (None, None)
        try:
            if number is not None:
                for array, (_, shape, start) in zip(arrays, laid, strict=True):
                    np.ndarray(shape, array.dtype, self._ours[number], start)[...] = array
            new = len(self._ours[number]) if number is not None and handle is not None else 0
            self._connection.send(_Letter(message, number, new, laid, emptied(self._seen)))
            if handle is not None:
                send_handle(self._connection, handle, 0)
        finally:
            if handle is not None:
                os.close(handle)

    def await_room(self) -> None:
        """Return once a short message can be sent without waiting for the other end to read."""
        self._write.poll()

    def has_come(self, seconds: float = 0.0) -> bool:
        """Whether `receive` has something to return or to raise within so long."""
        return bool(self._read.poll(1000 * seconds))

    def receive(self, patience: float = 0.0) -> tuple[Any, list[NDArray[Any]]]:
        """The next message, and its arrays; they may be kept, and written to. For so many seconds the wait for it is a
        sign of life: somebody else watches over what is waited for."""
        while patience > 0 and not self.has_come(_BEAT_SECONDS):
            beat()
            patience -= _BEAT_SECONDS
        letter: _Letter = self._connection.recv()
        for number in letter.seen:
            self._give_back(number)
        if letter.block is None:
            return letter.message, [np.empty(shape, dtype) for dtype, shape, _ in letter.laid]
        if letter.new:
            try:
                handle = recv_handle(self._connection)
            except RuntimeError as error:  # this process may have no more descriptors
                raise OSError(f"a block of memory did not come: {error}") from error
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
        """Hang up. Arrays that came stay as they are for whoever has them; no other memory is kept until this object is
        collected, which may be long after."""
        self._connection.close()
        self._ours.clear()
        self._theirs.clear()

    def _take(self, size: int) -> tuple[int, int | None]:
        """The smallest free block that holds so many bytes, or a new one with its handle."""
        fitting = [number for number in self._free if len(self._ours[number]) >= size]
        if fitting:
            chosen = min(fitting, key=lambda number: len(self._ours[number]))
            self._free.remove(chosen)
            return chosen, None
        try:
            handle = os.memfd_create("interlace-card", os.MFD_CLOEXEC)
            try:
                os.ftruncate(handle, _size_for(size))
                block = mmap.mmap(handle, _size_for(size))
            except BaseException:
                os.close(handle)
                raise
        except OSError as error:
            raise MemoryError(f"{size} bytes cannot be shared with the process on the card: {error}") from error
        number = len(self._ours)
        self._ours[number] = block
        return number, handle

    def _give_back(self, number: int) -> None:
        block = self._ours[number]
        if len(block) > _KEPT:
            block.madvise(mmap.MADV_REMOVE)
        self._free.add(number)


def _size_for(size: int) -> int:
    """Bytes of a new block: a power of two, so that few sizes serve many messages."""
    return max(_LEAST, 1 << (size - 1).bit_length())


def emptied(numbers: deque[int]) -> list[int]:
    """Take out what is there, while finalizers may append more: a list that is copied and then cleared loses those."""
    return [numbers.popleft() for _ in range(len(numbers))]
