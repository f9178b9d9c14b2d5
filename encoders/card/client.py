"""`CardClient`: asks the process that computes on this actor's card, and starts it when there is none."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from encoders.card.budget import card_share
from encoders.card.channel import Channel
from encoders.card.service import Answer, ServiceSpec
from encoders.checkpoints.home import exclusive
from encoders.failures import MediaError
from encoders.redaction import without_secrets

_log = logging.getLogger(__name__)

T = TypeVar("T")

_TRIES = 5
"""Times that a process is looked for or started: it may end, idle, at the moment at which one connects."""


class CardLost(RuntimeError):
    """The process on the card has ended while it had work. What it held is gone: begin anew, within ``alone``, so that
    whoever ends it twice is known not to be somebody else."""

    def __init__(self, message: str, alone: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(message)
        self.alone = alone


class Held:
    """Something that the process keeps for this client until this object is gone."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int, dropped: list[int]) -> None:
        self.number = number
        weakref.finalize(self, dropped.append, number).atexit = False


def outliving(work: Callable[[], T]) -> T:
    """What ``work`` returns. When the process ends meanwhile, it is done once more, with another one and alone on it;
    what it asks for is to be made anew then. Raises `CardLost` when that one ends too."""
    try:
        return work()
    except CardLost as error:
        alone = error.alone
    with alone():  # outside the handler: the traceback holds on to what the process had
        return work()


class CardClient:
    """One conversation. Not for several threads at once."""

    def __init__(self, spec: ServiceSpec) -> None:
        self._spec, self._key = spec, spec.key()
        self._channel: Channel | None = None
        self._pending: deque[_Asked] = deque()
        self._dropped: list[int] = []  # finalizers append to it
        self._numbers = 0
        self.generation = 0  # of processes lost: what was held before is gone
        self.facts = self._connect()

    def hold(self) -> Held:
        """A number for something that the process is to keep."""
        self._numbers += 1
        return Held(self._numbers, self._dropped)

    def ask(self, verb: str, arguments: Any, arrays: Sequence[NDArray[Any]] = ()) -> Callable[[], Answer]:
        """Begin it there; what is returned waits for the answer, and raises what it failed of there. Both raise
        `CardLost` when the process ends meanwhile."""
        if self._channel is None:
            self._connect()
        assert self._channel is not None
        dropped, self._dropped[:] = list(self._dropped), []
        asked = _Asked(self)
        try:
            self._channel.send((verb, arguments, dropped), arrays)
        except OSError as error:
            raise self._lost() from error
        self._pending.append(asked)
        return asked

    def answer_to(self, asked: _Asked) -> None:
        """Take answers in, in the order of asking, until that one is there."""
        while asked.answer is None:
            if self._channel is None or asked not in self._pending:
                raise self._lost()
            try:
                reply, arrays = self._channel.receive()
            except (EOFError, OSError) as error:
                raise self._lost() from error
            self._pending.popleft().answer = (reply, arrays)

    def _lost(self) -> CardLost:
        if self._channel is not None:
            self._channel.close()
        self._channel = None
        self._pending.clear()
        self.generation += 1
        return CardLost("the process that computes on the card has ended", self._alone)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Of all who lost the process, one at a time."""
        with exclusive(None, f"card-{self._key}-alone"):
            yield

    def _connect(self) -> Any:
        """To the process that there is, or to one that is started. Returns its facts. Raises RuntimeError."""
        path = _runtime_folder() / f"{self._key}.socket"
        for _ in range(_TRIES):
            try:
                return self._greet(path)
            except (EOFError, OSError):
                with exclusive(None, f"card-{self._key}"):
                    try:
                        return self._greet(path)
                    except (EOFError, OSError):
                        _start(self._spec, path)
        raise RuntimeError(f"no process for {self._spec.device} stays: {_tail(path)}")

    def _greet(self, path: Path) -> Any:
        channel = Channel(Client(str(path), "AF_UNIX"))
        channel.send(("hello", card_share(), ()))
        (_, facts), _ = channel.receive()
        self._channel = channel
        return facts


class _Asked:
    """An answer that is to come."""

    def __init__(self, client: CardClient) -> None:
        self._client = client
        self.answer: tuple[tuple[str, Any], list[NDArray[Any]]] | None = None

    def __call__(self) -> Answer:
        self._client.answer_to(self)
        assert self.answer is not None
        (status, value), arrays = self.answer
        if status == "ok":
            return value, arrays
        if status == "memory":
            raise MemoryError(value)
        if status == "media":
            raise MediaError(*value)
        raise RuntimeError(value)


def _runtime_folder() -> Path:
    """Where sockets lie: a folder that nobody else may enter, because what comes over them is unpickled."""
    folder = Path(tempfile.gettempdir()) / f"interlace-card-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if state.st_uid != os.getuid() or state.st_mode & 0o077 or not folder.is_dir():
        raise RuntimeError(f"{folder} belongs to somebody else or is open to others; remove it or set TMPDIR")
    return folder


def _start(spec: ServiceSpec, path: Path) -> None:
    """Start the process and wait until it has loaded. Raises RuntimeError with what it said last."""
    read, write = os.pipe()
    as_text = json.dumps(asdict(spec))
    try:
        with path.with_suffix(".log").open("wb") as log:
            started = subprocess.Popen(
                [sys.executable, "-P", "-m", "encoders.card.server", as_text, str(path), str(write)],
                pass_fds=[write],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=without_secrets(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
    finally:
        os.close(write)
    with open(read, "rb") as ready:  # noqa: PTH123  a descriptor
        said = ready.read()  # ends when the process has said it, or has ended
    started.wait()  # it has forked at once, and lives on in a session of its own
    if said != b"ready":
        raise RuntimeError(f"it did not start: {_tail(path)}")
    _log.info("started a process for %s that computes for all who share it", spec.device)


def _tail(path: Path) -> str:
    """The last that the process said."""
    try:
        lines = path.with_suffix(".log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1][-300:] if lines else "it said nothing"
