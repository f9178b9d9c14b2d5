"""The process that opens media: it holds the native code that a hostile file may hang, crash or bloat.

Run as ``python -m encoders.media.child CONTROL_FD LIFELINE_FD MEMORY_FD SLOT_BYTES`` by `encoders.media.process`.
It imports neither torch nor pydantic, and each opening library only when a file needs it.
"""

from __future__ import annotations

import fcntl
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import Any

import numpy as np

from encoders.failures import Failure, FailureCategory
from encoders.media.errors import as_failure
from encoders.media.opened import AudioWindow, OpenedPage
from encoders.media.opening import Source, open_part
from encoders.media.protocol import CANCEL, SLOTS, Began, Delivered, Done, Extent, Failed, Request, SharedSlots
from encoders.memory import keep_memory


class Cancelled(Exception):
    """The caller wants nothing more of this part."""


class Child:
    """Serves requests, one at a time, until the opener hangs up."""

    def __init__(self, control: Connection, slots: SharedSlots) -> None:
        self.control = control
        self.slots = slots
        self.free = list(range(SLOTS))
        self.retire = False
        self.base_bytes = _address_space()

    def serve(self) -> None:
        """Answer requests for ever; returns when the control socket is closed."""
        while True:
            try:
                message = self.control.recv()
            except (EOFError, OSError):
                return
            if not isinstance(message, Request):
                continue  # a slot or a cancel that crossed our Done
            self.free = list(range(SLOTS))
            self.began(None)
            self.limit(message)
            try:
                self.open(message)
            except Cancelled:
                pass
            except Exception as error:  # every error of a library becomes a value; the process goes on
                self.failed(error)
            self.control.send(Done(self.retire))

    def open(self, request: Request) -> None:
        """Deliver every unit of the part."""
        fd = None if request.path is not None else recv_handle(self.control)
        try:
            source = Source(request, request.path if request.path is not None else f"/proc/self/fd/{fd}")
            for event in self.stepwise(open_part(source)):
                if isinstance(event, Extent):
                    self.control.send(event)
                elif isinstance(event, Failure):
                    self.control.send(Failed(event))
                elif isinstance(event, OpenedPage) and event.image is not None:
                    image, event.image = event.image, None
                    self.deliver(event, image)
                elif isinstance(event, AudioWindow):
                    samples, event.samples = event.samples, np.zeros((0, 0), np.int16)
                    self.deliver(event, samples)
                else:
                    self.deliver(event, None)
        finally:
            if fd is not None:
                os.close(fd)

    def stepwise(self, events: Iterator[Any]) -> Iterator[Any]:
        """The events; a number announces the unit that comes next, and waits until there is room for it."""
        for event in events:
            if isinstance(event, int | float):
                self.wait_for_slot()
                self.began(event)
            else:
                yield event

    def deliver(self, value: Any, array: Any) -> None:
        """Send a value, its array by way of a slot. Values without one take a slot too: that bounds the lead."""
        if array is None:
            self.control.send(Delivered(value, self.free.pop() if self.free else None))
            return
        slot = self.free.pop()
        self.slots.write(slot, array)
        self.control.send(Delivered(value, slot, array.shape, array.dtype.str))

    def wait_for_slot(self) -> None:
        """Take back the slots that were read; block until there is one, or raise Cancelled."""
        while not self.free or self.control.poll(0):
            message = self.control.recv()
            if message == CANCEL:
                raise Cancelled
            self.free.append(message)

    def began(self, unit: float | None) -> None:
        """Start the clock of a unit."""
        self.control.send(Began(unit, time.monotonic(), time.process_time()))

    def failed(self, error: Exception) -> None:
        """Report what ended the part."""
        failure = as_failure(error)
        self.retire = self.retire or failure.category is FailureCategory.OUT_OF_MEMORY
        self.control.send(Failed(failure))

    def limit(self, request: Request) -> None:
        """Kernel limits for the coming part; SIGXCPU ends native loops that no Python timer reaches."""
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + request.cpu_seconds), hard))
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (self.base_bytes + request.memory_bytes, hard))


def _address_space() -> int:
    with open("/proc/self/statm") as statm:  # noqa: PTH123
        return int(statm.read().split()[0]) * resource.getpagesize()


def _die_with(lifeline: int) -> None:
    """Have the kernel end this process when the opener's end of the pipe closes, even inside native code.

    PR_SET_PDEATHSIG is no good here: it fires when the thread that started us ends, and actors start us from pools.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    try:
        if not os.read(lifeline, 1):
            os._exit(0)  # the opener went away before we were listening
    except BlockingIOError:
        pass


def main() -> None:
    """Serve until the opener hangs up."""
    control, lifeline, memory, size = (int(argument) for argument in sys.argv[1:5])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's business; it closes us
    _die_with(lifeline)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected, a core file is not
    keep_memory()
    slots = SharedSlots(memory, size)
    os.close(memory)
    Child(Connection(control), slots).serve()
    os._exit(0)  # libraries may hang in their exit handlers


if __name__ == "__main__":
    main()
