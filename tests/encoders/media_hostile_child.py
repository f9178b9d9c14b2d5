"""The opening process, with a fault on demand: a uri ``segfault@2`` makes it crash as it begins page 2."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import time
from typing import Any

from encoders.media import child
from encoders.media.protocol import Request

FAULTS: dict[str, Any] = {
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),  # as the kernel does when memory is short
    "memory": lambda: bytearray(1 << 30),
    "hang": lambda: time.sleep(1000),
    "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
}


class HostileChild(child.Child):
    fault: re.Match[str] | None = None

    def open(self, request: Request) -> None:
        self.fault = re.fullmatch(r"([a-z]+)@(.+)", request.uri)
        if self.fault is not None and self.fault[2] == "open":
            FAULTS[self.fault[1]]()
        super().open(request)

    def began(self, unit: float | None) -> None:
        super().began(unit)
        if self.fault is not None and self.fault[2] in (str(unit), "every"):
            FAULTS[self.fault[1]]()


if __name__ == "__main__":
    child.Child = HostileChild  # type: ignore[misc]
    child.main()
