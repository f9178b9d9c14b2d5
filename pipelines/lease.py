"""The lease on OUT: one writer at a time, and a token that keeps out whoever lost it without noticing.

`_interlace/lease/NNNNNNNN.json` is created, once, by whoever takes the lease; the highest number holds it, and the
number is the fencing token. The holder renews its own file; a file that says released, whose process is gone, or that
was not renewed in time is followed by the next number. Clocks decide only when to try: every commit to a table carries
the token as an application transaction, and a table that has seen a higher one refuses it (`pipelines.transactions`).
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import psutil

from encoders.failures import InterlaceError
from pipelines.storage import Storage, StorageError

LEASE_SECONDS = 60.0
SKEW = 0.5  # of a lease: how far the clocks of two machines may differ before a live holder is disturbed


class LeaseHeld(InterlaceError):
    """Somebody else writes to OUT."""


class LeaseLost(InterlaceError):
    """Somebody else took over: this process stood still for longer than its lease, or could not renew it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds, or held, a lease. ``until`` is in seconds since 1970."""

    token: int
    verb: str
    host: str
    pid: int
    process: str  # of which boot and namespace, and when it started: a pid alone may be somebody else's by now
    nonce: str
    since: float
    until: float
    seconds: float  # how long one renewal lasts
    released: bool = False

    def __str__(self) -> str:
        since, until = (datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S") for at in (self.since, self.until))
        return (
            f"interlace {self.verb} (process {self.pid} on {self.host}, since {since} UTC, its lease runs to {until})"
        )

    @property
    def gone(self) -> bool:
        """Whether its process is known to have ended, or did not renew in time."""
        mine, theirs = _process(os.getpid()), self.process
        if mine.rpartition("/")[0] == theirs.rpartition("/")[0] and _process(self.pid) != theirs:
            return True
        return time.time() > self.until + SKEW * self.seconds


def holder(storage: Storage) -> Holder | None:
    """Who holds the lease on OUT or held it last; None when nobody ever did."""
    for path in sorted(storage.files(_folder(storage), ".json"), reverse=True):
        found = storage.read_json(path)
        if found is not None:
            return Holder(**found)
    return None


class Lease:
    """Held for the length of a `with` block, renewed in the background.

    Entering raises LeaseHeld when somebody else holds it, or with ``wait`` waits for it. ``taken_over`` says that the
    holder before did not release it and may come back to life.
    """

    def __init__(
        self,
        storage: Storage,
        verb: str,
        *,
        wait: bool = False,
        seconds: float = LEASE_SECONDS,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._storage, self._verb, self._wait, self._seconds, self._note = storage, verb, wait, seconds, note
        self._held: Holder | None = None
        self._lost: Holder | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.taken_over = False

    @property
    def token(self) -> int:
        """The fencing token."""
        assert self._held is not None
        return self._held.token

    def check(self) -> None:
        """Raise LeaseLost when somebody else took over; asks the store only when the lease has run out unrenewed."""
        assert self._held is not None
        if self._lost is None and time.time() > self._held.until:
            self._renew()
        if self._lost is not None:
            raise LeaseLost(
                f"{self._lost} took over {self._storage.out}, because this process did not renew its lease in time; "
                "nothing was written since, and what was committed before is kept"
            )

    def __enter__(self) -> Lease:
        told = False
        while self._held is None:
            before = holder(self._storage)
            if before is None or before.released or before.gone:
                self._take(before)
                continue
            if not self._wait:
                raise LeaseHeld(
                    f"{self._storage.out} is in use by {before}; wait for it with --wait, or look with: "
                    f"interlace status {self._storage.out}"
                )
            if not told:
                told = True
                self._note(f"waiting for {before}")
            time.sleep(min(1.0, self._seconds / 10))
        threading.Thread(target=self._renew_until_the_end, name="lease", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with self._lock:
            assert self._held is not None
            try:
                self._storage.write_json(self._path(self.token), asdict(replace(self._held, released=True)))
            except StorageError:
                if error is None:
                    raise  # else the store failed already, and that error says more; this lease runs out

    def _take(self, before: Holder | None) -> None:
        token, now = (before.token if before else 0) + 1, time.time()
        who = socket.gethostname(), os.getpid(), _process(os.getpid()), uuid.uuid4().hex
        mine = Holder(token, self._verb, *who, since=now, until=now + self._seconds, seconds=self._seconds)
        if not self._storage.create_json(self._path(token), asdict(mine)):
            return
        self._held, self.taken_over = mine, before is not None and not before.released
        for path in self._storage.files(_folder(self._storage), ".json"):
            if path < self._path(token):
                self._storage.delete(path)

    def _renew_until_the_end(self) -> None:
        while not self._ended.wait(self._seconds / 4):
            try:
                self._renew()
            except StorageError:
                continue  # tried again until the lease has run out; then `check` raises it in the main thread

    def _renew(self) -> None:
        with self._lock:
            assert self._held is not None
            newest = holder(self._storage)
            if newest is not None and newest.token > self.token:
                self._lost = newest
            if self._lost is not None or self._ended.is_set():
                return
            self._held = replace(self._held, until=time.time() + self._seconds)
            self._storage.write_json(self._path(self.token), asdict(self._held))

    def _path(self, token: int) -> str:
        return f"{_folder(self._storage)}/{token:08d}.json"


def _folder(storage: Storage) -> str:
    return storage.path("_interlace", "lease")


def _process(pid: int) -> str:
    """What tells a process from all others: boot and pid namespace, then pid and start, left out when it ended."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        where = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        where = f"{socket.gethostname()} {uuid.getnode():x}"
    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        started = process.create_time() - psutil.boot_time()  # both move when somebody sets the clock
        return f"{where}/" + ("" if ended else f"{pid} {started:.2f}")
    except psutil.NoSuchProcess:
        return f"{where}/"
