"""What a process that computes for others offers, and how it is named."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

Answer = tuple[Any, Sequence[NDArray[Any]]]
"""A value that can be pickled, and arrays."""


class Session:
    """What is kept for one client, by the numbers that it gives. A verb is a method of that name behind an underscore.
    Its calls come one after another; all that begins is begun by one thread, but for verbs of ``moving``, which only
    bring data to the card, and beside which others begin, and for those of ``together``: what several clients ask for
    by one of them is begun at once, ``apart`` in a thread of its own."""

    moving: frozenset[str] = frozenset()
    together: frozenset[str] = frozenset()
    apart: bool = False

    def __init__(self) -> None:
        self.kept: dict[int, Any] = {}

    def begin(self, verb: str, arguments: Any, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        """Start what was asked for and return what waits for it, in whatever thread."""
        begun: Callable[[], Answer] = getattr(self, f"_{verb}")(arguments, arrays)
        return begun

    def room(self, verb: str) -> int:
        """How much of that verb is begun at once; what is larger by itself is begun by itself."""
        return 1

    def size(self, verb: str, arguments: Any) -> int:
        """How much of that room these take."""
        return 1

    def begin_together(self, verb: str, asked: Sequence[Asked]) -> Sequence[Callable[[], Answer]]:
        """`begin` for several clients at once, of whom this session's is one; in their order."""
        return [one.session.begin(verb, one.arguments, one.arrays) for one in asked]

    def drop(self, numbers: Sequence[int]) -> None:
        """Let go of what the client has no more use for. There may be nothing of such a number: it could not be made,
        or a process that has ended kept it."""
        for number in numbers:
            self.kept.pop(number, None)


class Asked(NamedTuple):
    """What one of several clients asks for."""

    session: Session
    arguments: Any
    arrays: Sequence[NDArray[Any]]


class Begun(NamedTuple):
    """What was begun of one verb."""

    asked: int  # requests
    seconds: float  # of the thread that began them
    times: int  # how often it began some: fewer than were asked for where several go together
    apart: bool  # whether that thread is not the one that starts all other work

    def plus(self, other: Begun) -> Begun:
        """Both, of two processes."""
        return Begun(self.asked + other.asked, self.seconds + other.seconds, self.times + other.times, self.apart)

    def less(self, before: Begun) -> Begun:
        """What was begun since."""
        return Begun(self.asked - before.asked, self.seconds - before.seconds, self.times - before.times, self.apart)


class Service(Protocol):
    """Networks that are loaded, once for all clients."""

    def facts(self) -> Any:
        """What a client is told as it connects."""

    def session(self) -> Session:
        """For one client."""


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """Which service, with what, on which device. Equal ones are one process of a node for every so many clients."""

    name: str  # module:class
    device: str
    arguments: Mapping[str, Any] = field(default_factory=dict)  # that JSON holds
    clients: int = 64  # of one process; those beyond have another
    process: int = 0  # which of them
    linger: float = 10.0  # seconds without a client after which the process ends
    stalled: float = 300.0  # seconds for which one thing is computed, after which it ends as well
    loading: float = 1500.0  # the same while it loads: compiling takes minutes

    def load(self) -> Service:
        """Make it. Raises whatever loading raises."""
        module, _, attribute = self.name.partition(":")
        service: Service = getattr(import_module(module), attribute)(device=self.device, **self.arguments)
        return service

    def key(self) -> str:
        """A name for the process: of the service, the cards that it may see, and the installation that runs it. Once
        that has changed it is another one, and clients of the old one keep theirs."""
        named: list[Any] = [self.name, self.device, dict(self.arguments), self.clients, self.process]
        named.append(os.environ.get("CUDA_VISIBLE_DEVICES"))
        named += [sys.prefix, str(Path(__file__).resolve())]
        for source in sorted(Path(__file__).parents[1].rglob("*.py")):
            state = source.stat()
            named.append([source.name, state.st_size, state.st_mtime_ns])
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]
