"""Who computes beside whom, and for how long."""

from __future__ import annotations

import faulthandler
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turns:
    """Many compute beside each other, or one alone: of somebody whose work a process did not outlive."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._many, self._waiting, self._one = 0, 0, False

    @contextmanager
    def beside(self) -> Iterator[None]:
        """With others; not before those have had their turn who wait to be alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._one and not self._waiting)
            self._many += 1
        try:
            yield
        finally:
            with self._changed:
                self._many -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """With nobody else."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: not self._one and not self._many)
            self._waiting -= 1
            self._one = True
        try:
            yield
        finally:
            with self._changed:
                self._one = False
                self._changed.notify_all()


class Watch:
    """Calls ``end`` when one piece of work takes longer than so many seconds, having written where every thread stands.
    A process whose interpreter itself stands still for as long is ended."""

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        self._seconds, self._end = seconds, end
        self._begun: dict[int, float] = {}
        threading.Thread(target=self._look, name="watch", daemon=True).start()

    def begin(self, number: int) -> None:
        """It begins now."""
        self._begun[number] = time.monotonic()

    def done(self, number: int) -> None:
        """It has ended, or never begun."""
        self._begun.pop(number, None)

    def _look(self) -> None:
        while True:
            faulthandler.dump_traceback_later(self._seconds, exit=True)  # replaces the one before
            oldest = min(list(self._begun.values()), default=time.monotonic())
            if time.monotonic() - oldest > self._seconds:
                faulthandler.dump_traceback()
                self._end()
            time.sleep(min(self._seconds / 10, 5.0))
