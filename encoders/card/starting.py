"""How a client reaches the process on its card: one that computes, one that still loads, or one that is started now.

Who starts it takes its lock, listens on its socket and hands both on: the lock is held for as long as the process is
there, and whoever connects while it loads waits for it. So neither can be left behind by a starter that is killed or
stopped, and no two processes are started for one card.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from encoders.card.service import ServiceSpec
from encoders.redaction import without_secrets

_log = logging.getLogger(__name__)

_PATIENCE = 60.0
"""Seconds for which somebody may be about to listen, or about to end."""
_LONGEST = 107
"""Bytes of the path of a socket."""


def reach(spec: ServiceSpec, files: Path) -> Connection:
    """A connection that the process answers once it has loaded; its ``files`` are `files_of` it. Raises RuntimeError
    when none can be started."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), _address(files) as address:
            connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connecting.connect(address)
            except BaseException:
                connecting.close()
                raise
            return Connection(connecting.detach())
        lock = _locked(files.with_suffix(".lock"))
        if lock is None:
            time.sleep(0.02)
        else:
            _start(spec, files, lock)
    raise RuntimeError(f"somebody holds {files.with_suffix('.lock')} and does not listen: end that process")


def files_of(spec: ServiceSpec) -> Path:
    """The files of a process, without their suffix: socket, lock, log. They lie in a folder that nobody else may enter,
    because what comes over the socket is unpickled. Raises RuntimeError where there can be no such folder."""
    try:
        folder = Path(tempfile.gettempdir()) / f"interlace-card-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        raise RuntimeError(f"there can be no folder for the process on the card: {error}; set TMPDIR") from error
    if state.st_uid != os.getuid() or state.st_mode & 0o077 or not folder.is_dir():
        raise RuntimeError(f"{folder} belongs to somebody else or is open to others; remove it or set TMPDIR")
    return folder / spec.key()


def take_seat(spec: ServiceSpec) -> tuple[int, Callable[[], None]]:
    """The lowest number that no other client on this node has, and what gives it back; so does this process's end."""
    files = files_of(spec)
    for number in itertools.count():
        path = files.with_name(f"{files.name}-{number}.seat")
        handle = _locked(path)
        if handle is not None:
            return number, partial(_give_back, path, handle)
    raise AssertionError("numbers do not end")


def _give_back(seat: Path, handle: int) -> None:
    seat.unlink(missing_ok=True)
    os.close(handle)


def last_words(files: Path) -> str:
    """The last that the process wrote, and where the rest of it is."""
    log = files.with_suffix(".log")
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return f"{lines[-1][-300:]} ({log})" if lines else "it wrote nothing"


def remove(files: Path) -> None:
    """When the process ends that holds the lock, which goes last: from then on another may be started."""
    for suffix in (".socket", ".log", ".lock"):
        files.with_suffix(suffix).unlink(missing_ok=True)


def _start(spec: ServiceSpec, files: Path, lock: int) -> None:
    """Start the process, which listens at once and loads then. Raises RuntimeError when it does not even begin."""
    command = [sys.executable, "-P", "-m", "encoders.card.server", json.dumps(asdict(spec)), str(files), str(lock)]
    environment = without_secrets(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        files.with_suffix(".socket").unlink(missing_ok=True)  # of one that was killed: the lock is ours
        with (
            _address(files) as address,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening,
            files.with_suffix(".log").open("wb") as log,
        ):
            listening.bind(address)
            listening.listen(256)
            handle = listening.fileno()
            started = subprocess.Popen(
                [*command, str(handle)],
                pass_fds=[lock, handle], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            )  # fmt: skip
    except OSError as error:
        raise RuntimeError(f"no process for {spec.device} can be started: {error}") from error
    finally:
        os.close(lock)  # the process has it, and the socket, alone: whoever is stopped from here on holds nothing
    if started.wait():  # it forks at once, and lives on in a session of its own
        raise RuntimeError(f"no process for {spec.device} can be started: {last_words(files)}")
    _log.info("started a process for %s that computes for all who share it", spec.device)


def _locked(path: Path) -> int | None:
    """The lock's descriptor, or None while somebody else holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(handle).st_ino:  # else its holder has removed it, and ended
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(handle)
    return None


@contextmanager
def _address(files: Path) -> Iterator[str]:
    """The socket's address; by way of its folder where the path is longer than that of a socket may be."""
    path = files.with_suffix(".socket")
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
