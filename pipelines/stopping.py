"""How a run stops early: SIGINT and SIGTERM, and a store that no longer works."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pipelines.storage import StorageError

DRAIN_SECONDS = 60.0
"""How long work in hand may go on after the first signal; a batch holds less than that, by design."""


class Interrupted(Exception):
    """SIGINT or SIGTERM arrived; what is committed gets published and the run can be resumed."""

    def __init__(self, when: str = "before anything was read") -> None:
        super().__init__(when)


class StopRequest:
    """SIGINT and SIGTERM, for the length of a `with` block in the main thread.

    Outside of `draining`, a signal raises Interrupted there. Inside, the first one calls ``begin`` and lets the work in
    hand finish; a second one, or the end of DRAIN_SECONDS, raises. After Interrupted was raised, a further signal does
    what it would do to any program.
    """

    def __init__(self) -> None:
        self.requested = False
        self._begin: Callable[[], None] | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> StopRequest:
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.listen()
        return self

    def listen(self) -> None:
        """Take the signals, again: Ray sets a handler of its own for SIGTERM when it starts."""
        for number in self._before:
            signal.signal(number, self._arrived)

    def __exit__(self, *exception: object) -> None:
        self._restore()

    @contextmanager
    def draining(self, begin: Callable[[], None]) -> Iterator[None]:
        """While this block runs, a first signal only calls ``begin``, in a thread of its own."""
        self._begin = begin
        try:
            yield
        finally:
            self._begin = None
            if self._timer is not None:
                self._timer.cancel()

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if self._begin is None or again:
            self._restore()
            raise Interrupted
        threading.Thread(target=self._begin, daemon=True).start()  # it writes a file, which may take its time
        self._timer = threading.Timer(DRAIN_SECONDS, os.kill, (os.getpid(), signal.SIGTERM))
        self._timer.daemon = True
        self._timer.start()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def store_failure(error: BaseException) -> StorageError | None:
    """The StorageError behind an exception, however deep Ray wrapped it."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        current = todo.pop()
        if current is None or id(current) in seen:
            continue
        if isinstance(current, StorageError):
            return StorageError(str(current.args[0]))
        seen.add(id(current))
        todo += [current.__cause__, current.__context__, getattr(current, "cause", None)]
    return None
