"""What several clients ask for by one verb is begun together: all that waits when its turn has come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from encoders.card.service import Answer, Asked

Run = Callable[[Callable[[], None]], None]
"""Calls what it is given, in whatever thread is to start it, and waits for that."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """One request in the queue."""

    verb: str
    asked: Asked
    size: int
    begins: Callable[[], None]  # called as it is begun: until then it waits for its turn
    begun: Future[Callable[[], Answer]] = field(default_factory=Future)


class Together:
    """A queue, and a thread that takes from it: always the oldest request, and all others of its verb that find room
    beside it. So what finds none is the next, and nobody waits for more than those before it."""

    def __init__(self, run: Run, count: Callable[[str, int, float], None]) -> None:
        """``count`` is told how many requests of a verb were begun at once, and the seconds that it took."""
        self._run, self._count = run, count
        self._queue: list[_Waiting] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name="together", daemon=True).start()

    def begin(self, verb: str, asked: Asked, begins: Callable[[], None]) -> Callable[[], Answer]:
        """Wait until it is begun, beside others or not. Raises what beginning it alone raises."""
        waiting = _Waiting(verb, asked, asked.session.size(verb, asked.arguments), begins)
        with self._changed:
            self._queue.append(waiting)
            self._changed.notify()
        return waiting.begun.result()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
            self._run(self._begin_next)

    def _begin_next(self) -> None:
        some = self._take()
        began = time.perf_counter()
        for one in some:
            one.begins()
        if not _begin(some):  # one of them may be what it failed of, or there is no memory for all at once
            for one in some:
                _begin([one])
        self._count(some[0].verb, len(some), time.perf_counter() - began)

    def _take(self) -> list[_Waiting]:
        with self._changed:
            verb, session = self._queue[0].verb, self._queue[0].asked.session
            room = session.room(verb)
            some: list[_Waiting] = []
            for one in self._queue:
                if one.verb == verb and (not some or one.size <= room):
                    some.append(one)
                    room -= one.size
            self._queue = [one for one in self._queue if one not in some]
        return some


def _begin(some: Sequence[_Waiting]) -> bool:
    """Whether they were begun; one by itself has failed then, and its error goes to who waits for it."""
    first = some[0]
    try:
        begun = first.asked.session.begin_together(first.verb, [one.asked for one in some])
        answers = list(zip(some, begun, strict=True))
    except BaseException as error:
        if len(some) > 1:
            return False
        first.begun.set_exception(error)
        return True
    for one, answer in answers:
        one.begun.set_result(answer)
    return True
