"""Where the cores' time of a run goes: seconds by kind of process and by thread, read from /proc as the run works.

Everything that descends from a process started with `CoreSeconds.marked` counts, also what left its process group.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import numpy as np

_MARK = "COUNTED_BY_BENCHMARK"
_TICK = os.sysconf("SC_CLK_TCK")
CARD, ACTORS, OPENING = "card process", "actors", "opening children"
ANSWERING, DECODER = "answering actors", "decoder"
ANSWERED_KINDS = ((ANSWERING, "MapBatches(WritingStage)"),)
"""Of a run that asks: its encoders' actors do not write, those that ask do."""
_KINDS = (
    (CARD, "encoders.card.server"),
    (OPENING, "encoders.media.child"),
    (ACTORS, "ray::MapWorker"),
    (ACTORS, "--encoder-worker"),  # of `benchmarks.gpu`
    (ACTORS, "benchmarks.gpu_speech --worker"),
    ("driver", "pipelines.cli"),
    (DECODER, "ray::ServeReplica"),
    ("Serve's controller and proxy", "ray::ServeController"),
    ("Serve's controller and proxy", "ray::ProxyActor"),
    ("raylet and plasma", "/raylet/raylet"),
    ("GCS", "/gcs/gcs_server"),
    ("others of Ray", "ray"),
)
_OTHERS = "others"

Process = tuple[int, int]
"""Its id and when it was started, because ids are used again."""


@dataclass(slots=True)
class Spent:
    """Seconds of cores that processes of one kind took."""

    processes: int = 0
    user: float = 0.0
    system: float = 0.0
    threads: dict[str, float] = field(default_factory=dict)  # by their names

    @property
    def seconds(self) -> float:
        return self.user + self.system


@dataclass(slots=True)
class _Seen:
    """What was read of one process, time after time."""

    kind: str = _OTHERS
    times: list[float] = field(default_factory=list)
    user: list[float] = field(default_factory=list)
    system: list[float] = field(default_factory=list)
    threads: list[dict[str, float]] = field(default_factory=list)


class CoreSeconds:
    """Looks every ``period`` seconds while it is open. Costs about 20 microseconds of a core a thread and look."""

    def __init__(self, period: float = 2.5, kinds: Sequence[tuple[str, str]] = ()) -> None:
        """``kinds``: more of them, each with what stands in its command line, that go before those known here."""
        self._period, self._mark, self._kinds = period, uuid4().hex, (*kinds, *_KINDS)
        self._seen: dict[Process, _Seen] = {}
        self._foreign: set[Process] = set()
        self._machine: list[tuple[float, float]] = []  # when, and seconds that all cores had worked
        self._looking = threading.RLock()

    def marked(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment in which what is to be counted is started."""
        return {**environment, _MARK: self._mark}

    def __enter__(self) -> Self:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self._period):
            self.look()

    def look(self) -> None:
        """Read all of it once."""
        with self._looking:
            now = time.time()
            self._machine.append((now, _machine_seconds()))
            for process, _, user, system in self._ours():
                seen = self._seen.setdefault(process, _Seen())
                seen.kind = _kind(process[0], self._kinds) or seen.kind
                seen.times.append(now)
                seen.user.append(user)
                seen.system.append(system)
                seen.threads.append(_threads(process[0]))

    def _ours(self) -> list[tuple[Process, int, float, float]]:
        """Marked processes and their descendants; titles that Ray gives its workers overwrite the mark in theirs."""
        read = [times for pid in _numbers("/proc") if (times := _times(pid))]
        found, pids = [], {pid for pid, _ in self._seen}
        for one in sorted(read, key=lambda one: one[0][1]):
            process, parent = one[0], one[1]
            if process not in self._seen and parent not in pids:
                if process in self._foreign:
                    continue
                if not self._is_marked(process[0]):
                    self._foreign.add(process)
                    continue
            pids.add(process[0])
            found.append(one)
        return found

    def _is_marked(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            return f"{_MARK}={self._mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        return False

    def between(self, start: float, stop: float) -> dict[str, Spent]:
        """What each kind took from one `time.time` to another, the most first; interpolated between two looks."""
        spent: dict[str, Spent] = {}
        for seen in list(self._seen.values()):
            if seen.times[-1] < start or seen.times[0] > stop:
                continue
            kind = spent.setdefault(seen.kind, Spent())
            kind.processes += 1
            kind.user += _grown(seen.times, seen.user, start, stop)
            kind.system += _grown(seen.times, seen.system, start, stop)
            for name in set().union(*seen.threads):
                grown = _grown(seen.times, [of.get(name, 0.0) for of in seen.threads], start, stop)
                kind.threads[name] = kind.threads.get(name, 0.0) + grown
        return dict(sorted(spent.items(), key=lambda item: -item[1].seconds))

    def machine(self, start: float, stop: float) -> float:
        """Seconds that all cores of the machine worked, whoever they worked for."""
        if not self._machine:
            return float("nan")
        times, worked = zip(*self._machine)
        return _grown(times, worked, start, stop)

    def alive(self, kind: str) -> list[int]:
        """Processes of a kind that run now, the busiest first."""
        running = self._running()
        found = [(seen, pid) for (pid, _), seen in self._seen.items() if seen.kind == kind and pid in running]
        return [pid for _, pid in sorted((-seen.user[-1] - seen.system[-1], pid) for seen, pid in found)]

    def end_all(self) -> None:
        """Kill what runs of them, until none is found; nothing is finished or written by it."""
        while running := self._running():
            for pid in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def _running(self) -> list[int]:
        with self._looking:
            self.look()
            latest = self._machine[-1][0]
            return [pid for (pid, _), seen in self._seen.items() if seen.times[-1] == latest]


def cores_of(cores: CoreSeconds, start: float, stop: float, count: float) -> dict[str, Any]:
    """Of a stretch in which so many pages (or hours) were read, for a table and for JSON: seconds of a core for each by
    kind of process, the kernel's share of them, those of the busiest threads, and all that the machine's cores did."""
    kinds = {}
    for kind, spent in cores.between(start, stop).items():
        most = sorted(spent.threads.items(), key=lambda item: -item[1])[:8]
        kinds[kind] = {
            "processes": spent.processes,
            "each": spent.seconds / max(count, 1e-9),
            "cores": spent.seconds / (stop - start),
            "in the kernel": spent.system / max(spent.seconds, 1e-9),
            "threads": {name: round(seconds / max(count, 1e-9), 5) for name, seconds in most if seconds},
        }
    return {"seconds": stop - start, "count": count, "kinds": kinds, "machine": cores.machine(start, stop)}


def _grown(times: tuple[float, ...] | list[float], values: tuple[float, ...] | list[float], *ends: float) -> float:
    first, last = np.interp(ends, times, values)
    return float(last - first)


def _numbers(folder: str) -> list[int]:
    return [int(path.name) for path in Path(folder).iterdir() if path.name.isdigit()]


def _stat(path: str) -> tuple[str, list[str]] | None:
    """The name and what follows it in a stat of /proc; None when it is gone or was only waited for."""
    with contextlib.suppress(OSError):
        name, _, rest = Path(path).read_text(errors="replace").partition("(")[2].rpartition(") ")
        fields = rest.split()
        return None if fields[0] in "ZX" else (name, fields)
    return None


def _times(pid: int) -> tuple[Process, int, float, float] | None:
    """Process, parent, seconds of its own and of the kernel for it."""
    if (stat := _stat(f"/proc/{pid}/stat")) is None:
        return None
    fields = stat[1]
    return (pid, int(fields[19])), int(fields[1]), int(fields[11]) / _TICK, int(fields[12]) / _TICK


def _threads(pid: int) -> dict[str, float]:
    """Seconds by thread's name; numbers at the end of a name are left out, so that a pool is one."""
    found: dict[str, float] = {}
    with contextlib.suppress(OSError):
        for task in _numbers(f"/proc/{pid}/task"):
            if stat := _stat(f"/proc/{pid}/task/{task}/stat"):
                name = "main" if task == pid else stat[0].rstrip("0123456789").rstrip("-_ :") or stat[0]
                found[name] = found.get(name, 0.0) + (int(stat[1][11]) + int(stat[1][12])) / _TICK
    return found


def _kind(pid: int, kinds: Sequence[tuple[str, str]]) -> str | None:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    return next((kind for kind, mark in kinds if mark in command), _OTHERS) if command else None


def _machine_seconds() -> float:
    """User, nice, system and interrupts of all cores since the machine started."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(int(fields[index]) for index in (0, 1, 2, 5, 6)) / _TICK
