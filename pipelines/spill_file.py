"""Tables that do not fit in memory, in a temporary file of this machine."""

from __future__ import annotations

import tempfile
from functools import cached_property
from typing import IO

import pyarrow as pa

from encoders.failures import InterlaceError

MEMORY = 32 << 20  # bytes that a holder of rows keeps before it spills them
Piece = tuple[int, int]
"""Where a table lies in its file: first byte and length."""


class SpillFile:
    """Appends tables and reads them back. The file has no name, so that it is gone with its process, however that ends;
    it lies in TMPDIR."""

    def __init__(self) -> None:
        self.size = 0

    @cached_property
    def _file(self) -> IO[bytes]:
        return tempfile.TemporaryFile(prefix="interlace-")

    def append(self, table: pa.Table) -> Piece:
        """Write a table. Raises InterlaceError when the disk is full."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
            stream.write_table(table)
        data = sink.getvalue()
        piece = self.size, data.size
        try:
            self._file.seek(self.size)
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise InterlaceError(
                f"cannot write to a temporary file in {tempfile.gettempdir()}: {error.strerror}; long listings "
                "are kept there: make room, or set TMPDIR to another folder"
            ) from error
        self.size += data.size
        return piece

    def read(self, piece: Piece) -> pa.Table:
        """A table that was written."""
        first, length = piece
        self._file.seek(first)
        return pa.ipc.open_stream(pa.py_buffer(self._file.read(length))).read_all()
