"""Beginnings of prompts that come again: their keys and values are kept, and not computed twice.

A block is a chunk of a prompt as the engine cuts it, named by all the tokens up to its end and by where they were cut.
What it holds was computed from just these, in a pass that gives the same bits whatever ran beside it, so an answer that
reuses it has the same tokens.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from decoder.cache import Block
from decoder.running import chunk_end
from decoder.sequence import SequenceRequest, TextSegment


class PrefixStore:
    """Blocks in order of use, within a bound of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.bytes = 0
        self._blocks: OrderedDict[bytes, Block] = OrderedDict()

    def get(self, name: bytes) -> Block | None:
        """The block of that name, None when it is not here."""
        if name in self._blocks:
            self._blocks.move_to_end(name)
        return self._blocks.get(name)

    def put(self, name: bytes, block: Block) -> None:
        """Keep a block; those that were not used for longest make room."""
        if name in self._blocks or _bytes(block) > self._limit:
            return
        self._blocks[name] = block
        self.bytes += _bytes(block)
        while self.bytes > self._limit:
            self.bytes -= _bytes(self._blocks.popitem(last=False)[1])


def block_names(request: SequenceRequest, chunk: int) -> list[tuple[int, int, bytes]]:
    """The chunks (start, stop, name) of a prompt; its last token is in none of them, for it must be read anew."""
    found, start, name = [], 0, b""
    while (stop := chunk_end(start, chunk, request.shared)) < len(request):
        name = hashlib.blake2b(name + _content(request, start, stop), digest_size=16).digest()
        found.append((start, stop, name))
        start = stop
    return found


def _content(request: SequenceRequest, start: int, stop: int) -> bytes:
    """The tokens [start, stop) of a prompt, text by id and soft by value."""
    found, at = [], 0
    for segment in request.segments:
        first, last = max(0, start - at), min(len(segment), stop - at)
        if first < last:
            if isinstance(segment, TextSegment):
                found.append(b"text" + segment.tokens[first:last].tobytes())
            else:
                found.append(b"soft" + segment.vectors[first:last].tobytes())
        at += len(segment)
    return b"".join(found)


def _bytes(block: Block) -> int:
    return sum(keys.nbytes + values.nbytes for keys, values in block.values())
