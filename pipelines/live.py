"""A run tells how far it is: its figures in a file of OUT, anew every few seconds.

Whoever sees the store can follow the run (`status --watch`, `interlace metrics`); no port, no agent, and nobody has to
find the driver. Nothing depends on the file: that it cannot be written never stops a run.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from types import TracebackType

from pipelines.figures import RunFigures
from pipelines.runfiles import RunFiles
from pipelines.storage import StorageError

EVERY = 5.0  # seconds


class Live:
    """Held for the length of a command; tells from `begin` to its end."""

    def __init__(self) -> None:
        self._figures: RunFigures | None = None
        self._files: RunFiles | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, files: RunFiles, figures: RunFigures) -> None:
        """From now on these figures are told."""
        self._files, self._figures = files, figures
        self._tell()
        self._thread = threading.Thread(target=self._tell_until_the_end, name="live", daemon=True)
        self._thread.start()

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is None or self._figures is None:
            return
        self._stop.set()
        self._thread.join(EVERY)  # a store that is gone may hold it longer, and nobody waits for that
        self._figures.ended = self._figures.ended or ("failed" if error else "finished")
        if not isinstance(error, StorageError):
            self._tell()

    def _tell_until_the_end(self) -> None:
        while not self._stop.wait(EVERY):
            self._tell()

    def _tell(self) -> None:
        assert self._files is not None and self._figures is not None
        streaming = sys.modules.get("pipelines.queues")  # imported with Ray, which a question alone may not need
        if streaming is not None:
            self._figures.queues(streaming.QueueWatch.latest)
        with contextlib.suppress(StorageError):
            self._files.write_live(json.dumps(self._figures.snapshot()).encode())
