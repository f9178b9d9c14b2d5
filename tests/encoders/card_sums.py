"""A service for tests of the process on a card that needs no networks, and so starts soon."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.card.service import Answer, Asked, Session
from encoders.failures import FailureCategory, MediaError


class Sums:
    """Keeps arrays for its clients, adds them up, and fails in every way when asked to. It has loaded once it has read
    the ``gate``, and notes in ``loads`` that it began to."""

    def __init__(
        self, *, device: str, broken: bool = False, gate: str = "", loads: str = "", apart: bool = True
    ) -> None:
        self._apart = apart
        if loads:
            with Path(loads).open("a") as noted:
                noted.write(f"{os.getpid()}\n")
        if gate:
            Path(gate).read_bytes()
        if broken:
            raise OSError("the weights are not here")

    def facts(self) -> int:
        return os.getpid()

    def session(self) -> SumsSession:
        session = SumsSession()
        session.apart = self._apart
        return session


class SumsSession(Session):
    """``together`` answers with what was begun beside it; a negative number cannot be begun, and 13 is the end."""

    moving = frozenset({"keep"})
    together = frozenset({"together", "others together"})

    def room(self, verb: str) -> int:
        return 4

    def size(self, verb: str, arguments: Any) -> int:
        return abs(int(arguments))

    def begin_together(self, verb: str, asked: Sequence[Asked]) -> Sequence[Callable[[], Answer]]:
        numbers = [int(one.arguments) for one in asked]
        if 13 in numbers:
            os._exit(9)
        if any(number < 0 for number in numbers):
            raise ValueError("negative")
        return [lambda: (numbers, ())] * len(asked)

    def begin(self, verb: str, arguments: Any, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        match verb:
            case "keep":
                self.kept[arguments] = arrays[0]
                return lambda: (None, ())
            case "sum":
                total = sum(self.kept.values(), start=np.zeros(()))
                return lambda: (sorted(self.kept), [total])
            case "begun in":
                ident = threading.get_ident()
                return lambda: (ident, ())
            case "memory":
                raise MemoryError("too large")
            case "media":
                raise MediaError(FailureCategory.MODEL_FAILED, "not finite")
            case "late":
                return lambda: (1 // 0, ())
            case "stand still":
                return lambda: (threading.Event().wait(), ())
            case _:
                os._exit(9)
