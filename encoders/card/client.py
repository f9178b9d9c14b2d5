"""`CardClient`: asks the process that computes on this actor's card, and starts it when there is none."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

from numpy.typing import NDArray

from encoders.card.budget import card_share
from encoders.card.channel import Channel, emptied
from encoders.card.service import Answer, ServiceSpec
from encoders.card.starting import files_of, last_words, reach, take_seat
from encoders.failures import FailureCategory, MediaError

T = TypeVar("T")

_TRIES = 4
"""Times that a process is looked for or started: it may end, idle, at the moment at which one connects."""

_TRIES_ALONE = 50
"""Times that work is begun anew because the process ended over somebody else's."""

_MOST_ASKED = 64
"""Answers that are not taken in yet: of more the socket may be full, while the process waits to write to it."""


class CardLost(MediaError):
    """The process on the card has ended while it had work. What it held is gone: begin anew, within ``alone``, where
    nothing else is computed beside what is asked for. ``blamed``: that was so already, and it ended over this."""

    def __init__(self, message: str, alone: Callable[[], AbstractContextManager[None]], *, blamed: bool) -> None:
        super().__init__(FailureCategory.CRASHED, message)
        self.alone, self.blamed = alone, blamed

    def __reduce__(self) -> tuple[type[MediaError], tuple[FailureCategory, str, int | None]]:
        return MediaError, (self.category, str(self), None)  # elsewhere there is nothing to begin anew with


class Held:
    """Something that the process keeps for this client until this object is gone."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int, dropped: deque[int]) -> None:
        self.number = number
        weakref.finalize(self, dropped.append, number).atexit = False


def outliving(work: Callable[[], T]) -> T:
    """What ``work`` returns. When the process ends meanwhile, it is done again by another one and alone on it; what it
    asks for is to be made anew then. Raises `CardLost` when one ends over this work, alone."""
    try:
        return work()
    except CardLost as error:
        lost = error.with_traceback(None)  # which holds on to what the process had
    for _ in range(_TRIES_ALONE):
        with lost.alone():
            try:
                return work()
            except CardLost as error:
                lost = error.with_traceback(None)
        if lost.blamed:
            break
    raise lost


class CardClient:
    """One conversation. Not for several threads at once."""

    def __init__(self, spec: ServiceSpec) -> None:
        seat, give_back = take_seat(spec)
        weakref.finalize(self, give_back).atexit = False
        self._spec = replace(spec, process=seat // spec.clients)
        self._files = files_of(self._spec)
        self._channel: Channel | None = None
        self._pending: deque[_Asked] = deque()
        self._dropped: deque[int] = deque()  # finalizers append to it
        self._numbers = 0
        self._alone, self._begun = False, False
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
        while len(self._pending) >= _MOST_ASKED:
            self._take_in()
        assert self._channel is not None
        dropped = emptied(self._dropped)
        asked = _Asked(self)
        try:
            self._channel.send((verb, arguments, dropped, self._alone), arrays)
        except OSError:
            pass
        except Exception:
            self._dropped.extend(dropped)
            raise
        else:
            self._pending.append(asked)
            return asked
        raise self._lost()  # not within a handler, whose error would keep all that was at work here

    def answer_to(self, asked: _Asked) -> None:
        """Take answers in, in the order of asking, until that one is there."""
        while asked.answer is None:
            if asked not in self._pending:  # of a process that another answer has found gone
                raise CardLost(_LOST, self._careful, blamed=False)
            self._take_in()

    def _take_in(self) -> None:
        """The next answer, or that it is begun with now."""
        assert self._channel is not None
        came = None
        with suppress(EOFError, OSError):
            came = self._channel.receive(patience=2 * self._spec.stalled)
        if came is None:
            raise self._lost()
        self._begun = came[0][0] == "begun"
        if not self._begun:
            self._pending.popleft().answer = came

    def _lost(self) -> CardLost:
        channel, self._channel = self._channel, None
        if channel is not None:
            with suppress(EOFError, OSError):  # whether it was begun with may be said still
                while channel.has_come():
                    self._begun = channel.receive()[0][0] == "begun"
            channel.close()
        blamed, self._begun = self._begun, False
        self._pending.clear()
        self.generation += 1
        return CardLost(f"{_LOST}: {last_words(self._files)}", self._careful, blamed=blamed)

    @contextmanager
    def _careful(self) -> Iterator[None]:
        """What is asked for meanwhile is computed with nothing beside it."""
        before, self._alone = self._alone, True
        try:
            yield
        finally:
            self._alone = before

    def _connect(self) -> Any:
        """To the process that there is, or to one that is started. Returns its facts. Raises RuntimeError."""
        said = ""
        for _ in range(_TRIES):
            channel = Channel(reach(self._spec, self._files))
            try:
                with suppress(OSError):  # one that could not load has said why
                    channel.send(("hello", card_share(), (), False))
                (status, value), _ = channel.receive(patience=self._spec.loading)
            except (EOFError, OSError):
                channel.close()
                said = last_words(self._files)
                continue
            if status == "ok":
                self._channel = channel
                return value
            said = value
            if not self.generation:
                break  # a card may be full for as long as one that was lost still ends, but then there was none
        raise RuntimeError(f"the process for {self._spec.device} did not start: {said}")


_LOST = "the process that computes on the card has ended"


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
