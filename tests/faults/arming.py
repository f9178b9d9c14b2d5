"""The test's side of fault points: arm them, see who came by, let go of those that wait."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from encoders.fault_points import VARIABLE


@dataclass(frozen=True, slots=True)
class Hit:
    """A process came by a fault point."""

    name: str
    detail: str
    pid: int
    time: float


def wait_until(true: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Poll, and fail with ``what`` when it does not come true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.01)


class Arm:
    """One armed point."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def hits(self) -> int:
        """How often it was reached, whether or not it acted."""
        folder = self._path.with_suffix(".hits")
        return len(list(folder.iterdir())) if folder.exists() else 0

    def wait(self, hits: int | None = None, seconds: float = 120.0) -> None:
        """Until it was reached so often; by default, until it acts for the first time."""
        arm = json.loads(self._path.read_text())
        most = arm["nth"] if hits is None else hits
        wait_until(lambda: self.hits >= most, f"{arm['name']} {arm['match']} x {most}", seconds)

    def release(self) -> None:
        """Whoever waits there goes on."""
        self._path.with_suffix(".go").touch()

    def disarm(self) -> None:
        """From now on it does nothing; whoever waits goes on."""
        self._path.unlink(missing_ok=True)


class Faults:
    """The folder behind INTERLACE_FAULTS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "arms").mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of processes that shall see the arms."""
        return {**os.environ, VARIABLE: str(self.folder)}

    def arm(
        self,
        name: str,
        action: str,
        argument: str = "",
        *,
        match: str = "*",
        nth: int = 1,
        times: int = 1,
        driver: bool = False,
    ) -> Arm:
        """At the ``nth`` to ``nth + times - 1``-th time that a point like ``name`` is reached with a detail like
        ``match`` (both are globs), whoever reached it does this: ``kill`` itself, send itself the ``signal`` ARGUMENT,
        ``raise`` ARGUMENT (an errno such as ENOSPC, or a builtin exception such as MemoryError), or ``wait`` for
        `Arm.release`. With ``driver``, the process named by `set_driver` gets the kill or signal instead."""
        path = self.folder / "arms" / f"{uuid.uuid4().hex}.json"
        arm = {"name": name, "match": match, "nth": nth, "times": times}
        arm |= {"action": action, "argument": argument, "driver": driver}
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(arm))
        partial.replace(path)
        return Arm(path)

    def set_driver(self, pid: int) -> None:
        """Who is meant by ``driver``."""
        (self.folder / "driver").write_text(str(pid))

    def log(self, name: str = "*", match: str = "*") -> list[Hit]:
        """Who came by, in order."""
        path = self.folder / "log"
        hits = [Hit(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
        return [h for h in hits if fnmatch.fnmatchcase(h.name, name) and fnmatch.fnmatchcase(h.detail, match)]

    def clear(self) -> None:
        """Disarm everything and forget the log."""
        shutil.rmtree(self.folder / "arms")
        (self.folder / "arms").mkdir()
        (self.folder / "log").unlink(missing_ok=True)
