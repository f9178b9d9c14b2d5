"""The watch over a worker: when its work stands still for too long, it says so and ends the process.

Ray starts another one and gives it the same batch. A consumer that is slow does not count: the watch is on only while
a stage works.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from encoders.heartbeat import beat, last_beat

_STDERR = 2  # the file descriptor: the worker's log


class StallWatch:
    """One per worker; `over` may be entered by several threads, and one beat of theirs counts for all."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._tells: list[Callable[[float], None]] = []  # of the threads at work
        self._working = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="stall-watch", daemon=True).start()

    @contextmanager
    def over(self, tell: Callable[[float], None]) -> Iterator[None]:
        """Work goes on here; ``tell`` gets the seconds without a beat, just before the process ends."""
        beat()
        with self._lock:
            self._tells.append(tell)
            self._arm()
            self._working.set()
        try:
            yield
        finally:
            with self._lock:  # not between the decision to end the process and its end
                self._tells.remove(tell)
                if not self._tells:
                    self._working.clear()
                    faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        while True:
            self._working.wait()
            with self._lock:
                if self._tells:
                    self._arm()
                    self._look()
            time.sleep(min(self.seconds / 10, 5.0))

    def _arm(self) -> None:
        """Native code that holds the interpreter's lock stops `_watch` too; then this thread in C ends the process."""
        faulthandler.dump_traceback_later(2 * self.seconds, exit=True, file=_STDERR)

    def _look(self) -> None:
        silent = time.monotonic() - last_beat()
        if silent < self.seconds:
            return
        try:
            for tell in self._tells:
                tell(silent)
            faulthandler.dump_traceback(file=_STDERR)  # where it stands
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
