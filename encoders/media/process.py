"""One spawned child as its opener sees it: start, talk, watch the clock, kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from typing import Any

from encoders.failures import FailureCategory, MediaError
from encoders.media.protocol import Began, Request, SharedSlots, slot_bytes
from encoders.redaction import without_secrets

START_SECONDS = 120.0  # imports on a machine whose cores are all taken


class ChildProcess:
    """A running ``python -m encoders.media.child``; never forked, so it is safe beside CUDA and threads."""

    def __init__(self, max_pixels: int, module: str) -> None:
        size = slot_bytes(max_pixels)
        memory = SharedSlots.create(size)
        ours, theirs = socket.socketpair()
        lifeline_read, self._lifeline = os.pipe()
        self._stderr = os.memfd_create("interlace-media-stderr", os.MFD_CLOEXEC)
        fcntl.fcntl(self._stderr, fcntl.F_SETFL, os.O_APPEND)  # so that `request` can empty it
        try:
            fds = (theirs.fileno(), lifeline_read, memory)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *map(str, fds), str(size)],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env=without_secrets(os.environ)
                | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
            )
            self.slots = SharedSlots(memory, size)
        finally:
            theirs.close()
            os.close(lifeline_read)
            os.close(memory)
        self.control = Connection(ours.detach())
        self.parts = 0
        self.delivered = False  # whether the unit begun last has come out
        self._began = Began(None, time.monotonic() + START_SECONDS, 0.0)
        self._part_cpu: float | None = None

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self._process.poll() is None

    @property
    def unit(self) -> float | None:
        """The page or window that the child said it began, None while it opens the file."""
        return self._began.unit

    def request(self, request: Request, data: bytes | None) -> None:
        """Ask for a part; raises OSError when the child is gone."""
        slack = START_SECONDS if self.parts == 0 else 0.0
        self._began = Began(None, time.monotonic() + slack, 0.0)
        self._part_cpu = None
        self.parts += 1
        if self.parts > 1:  # before that it may hold why the child cannot start
            os.ftruncate(self._stderr, 0)
        self.control.send(request)
        if request.path is None:
            fd = _memory_file(data or b"")
            try:
                send_handle(self.control, fd, self.pid)
            finally:
                os.close(fd)

    def receive(self, unit_seconds: float) -> Any:
        """The next message. Raises MediaError timed_out (the child is killed), crashed or out_of_memory."""
        while True:
            left = self._began.at + unit_seconds - time.monotonic()
            if not self.control.poll(max(left, 0.0)):
                self.kill()
                raise MediaError(FailureCategory.TIMED_OUT, f"opening took longer than {unit_seconds:g} s")
            try:
                message = self.control.recv()
            except (EOFError, OSError):
                raise self._post_mortem() from None
            if not isinstance(message, Began):
                # The clock of the next unit starts when the child says so, but not before this: it may have waited
                # for a slot while the caller was busy.
                self._began = replace(self._began, at=max(self._began.at, time.monotonic()))
                self.delivered = True
                return message
            self._began, self.delivered = message, False
            if self._part_cpu is None:
                self._part_cpu = message.cpu

    def cpu_spent(self) -> float:
        """CPU seconds spent on the current part; still readable after death, until `end` reaps the child."""
        try:
            with open(f"/proc/{self.pid}/stat") as stat:  # noqa: PTH123
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            return 0.0
        ticks = int(fields[11]) + int(fields[12])
        return max(ticks / os.sysconf("SC_CLK_TCK") - (self._part_cpu or 0.0), 0.0)

    def kill(self) -> None:
        """End the child at once, whatever it does; `end` reaps it."""
        if self._process.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def end(self, grace: float = 0.0) -> None:
        """Hang up, give the child ``grace`` seconds to go, kill it, reap it, free the memory."""
        if self.control.closed:
            return
        self.control.close()
        if grace:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        self._process.kill()
        self._process.wait()
        os.close(self._lifeline)
        os.close(self._stderr)
        self.slots.close()

    def _post_mortem(self) -> MediaError:
        code = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        status = code.si_status if code is not None else 0
        if code is not None and code.si_code == os.CLD_EXITED:
            tail = os.pread(self._stderr, 1 << 16, 0).decode(errors="replace").strip()[-300:]
            return MediaError(FailureCategory.CRASHED, f"the opening process ended with status {status}: {tail}")
        if status == signal.SIGXCPU:
            return MediaError(FailureCategory.TIMED_OUT, "opening used up the CPU seconds of one part")
        if status == signal.SIGKILL:
            return MediaError(FailureCategory.OUT_OF_MEMORY, "the opening process was killed, most likely for memory")
        return MediaError(FailureCategory.CRASHED, f"the opening process died of {signal.Signals(status).name}")


def _memory_file(data: bytes) -> int:
    fd = os.memfd_create("interlace-media-part", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd
