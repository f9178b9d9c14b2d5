"""What whoever submits a sequence holds of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from decoder.constrain import JsonConstraint
from decoder.sequence import Delta, Finish, Generation, SequenceRequest
from encoders.failures import Failure, FailureCategory

OnDelta = Callable[[Delta], None]


class Handle:
    """A submitted sequence: wait for its generation, or cancel it."""

    def __init__(self, request: SequenceRequest, on_delta: OnDelta | None) -> None:
        self.request = request
        self.on_delta = on_delta
        self.constraint: JsonConstraint | None = None
        self.submitted = time.monotonic()
        self.future: Future[Generation] = Future()
        self.future.set_running_or_notify_cancel()  # so that only the engine ends it; `cancel` asks the engine
        self.cancelled = threading.Event()
        self.on_cancel: Callable[[], None] | None = None  # called once that is set, for the engine to look

    def cancel(self) -> None:
        """Stop after the step that is running; the result is then what was written so far."""
        self.cancelled.set()
        if self.on_cancel is not None:
            self.on_cancel()

    def tell(self, delta: Delta) -> None:
        """Hand on new text. A reader that raises is one that has gone: its own sequence ends, and no other."""
        if self.on_delta is not None:
            try:
                self.on_delta(delta)
            except Exception:
                self.cancel()

    def result(self, timeout: float | None = None) -> Generation:
        """Wait for the end, at most ``timeout`` seconds (`TimeoutError`)."""
        return self.future.result(timeout)


def unread(request: SequenceRequest, finish: Finish, message: str = "") -> Generation:
    """The generation of a sequence that never ran."""
    failure = Failure(FailureCategory.UNSUPPORTED, "answer", message) if message else None
    return Generation("", (), (), finish, len(request), failure=failure)
