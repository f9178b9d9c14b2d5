"""What several clients of the process on a card ask for at once: who goes with whom, and what it costs the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from benchmarks.card_begun import begun, since, told
from encoders.card.client import CardClient, CardLost, outliving
from encoders.card.service import Answer, Asked
from encoders.card.together import Together
from tests.encoders.card_sums import SumsSession
from tests.encoders.test_card import spec


class Held:
    """A queue whose thread does not come to it before it is let go."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, int]] = []
        self._go = threading.Event()
        self._queue = Together(self._run, lambda verb, asked, _: self.counted.append((verb, asked)))
        self._pool = ThreadPoolExecutor(16)

    def _run(self, work: Callable[[], None]) -> None:
        self._go.wait()
        work()

    def ask(self, size: int, verb: str = "together", session: SumsSession | None = None) -> Future[list[int]]:
        before = len(self._queue._queue)
        asked = Asked(session or SumsSession(), size, ())
        future = self._pool.submit(lambda: self._queue.begin(verb, asked, lambda: None)()[0])
        while len(self._queue._queue) == before:
            threading.Event().wait(0.001)
        return future

    @contextmanager
    def let_go(self) -> Iterator[None]:
        self._go.set()
        yield
        self._pool.shutdown()


def test_all_that_fit_go_with_the_oldest_and_what_did_not_is_next() -> None:
    held = Held()
    asked = [held.ask(size) for size in (2, 3, 1, 1, 9, 1)]
    others = held.ask(1, "others together")
    with held.let_go():
        found = [one.result(60) for one in asked]
    assert found == [[2, 1, 1], [3, 1], [2, 1, 1], [2, 1, 1], [9], [3, 1]]
    assert others.result(60) == [1]
    assert held.counted == [("together", 3), ("together", 2), ("together", 1), ("others together", 1)]


def test_one_that_fails_costs_the_others_nothing_but_their_company() -> None:
    class Narrow(SumsSession):
        def begin_together(self, verb: str, asked: Sequence[Asked]) -> Sequence[Callable[[], Answer]]:
            if len(asked) > 1:
                raise MemoryError("too large together")
            return super().begin_together(verb, asked)

    for made in (SumsSession, Narrow):
        held = Held()
        good, bad, last = (held.ask(size, session=made()) for size in (1, -1, 2))
        with held.let_go():
            assert (good.result(60), last.result(60)) == ([1], [2])
            with pytest.raises(ValueError, match="negative"):
                bad.result(60)
        assert held.counted == [("together", 3)]


@pytest.mark.parametrize("apart", [True, False])
def test_who_is_alone_is_so_here_too_and_who_ends_it_is_blamed(apart: bool) -> None:
    one = spec(apart=apart)
    clients = [CardClient(one) for _ in range(3)]
    careful, culprit = CardClient(one), CardClient(one)
    before = begun([careful.facts])
    done = threading.Event()

    def work_beside(client: CardClient) -> list[list[int]]:
        found = []
        while not done.is_set():
            found.append(outliving(lambda: client.ask("together", 1)()[0]))
        return found

    with ThreadPoolExecutor(3) as pool:
        beside = [pool.submit(work_beside, client) for client in clients]
        try:
            with careful._careful():
                assert all(careful.ask("together", 2)()[0] == [2] for _ in range(20))
            counted = since(before, begun([careful.facts]))
            with pytest.raises(CardLost) as lost:
                outliving(lambda: culprit.ask("together", 13)())
        finally:
            done.set()
        assert lost.value.blamed
        assert all(len(set(company)) == 1 for client in beside for company in client.result())
    of = counted["together"]
    assert of.apart is apart and of.asked >= of.times >= 20
    assert told(counted, 1.0)["together"]["together"] == of.asked / of.times
