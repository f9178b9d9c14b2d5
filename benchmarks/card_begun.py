"""What the processes on a card began for their clients, how much of it together, and how long that took its threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from multiprocessing.connection import Client
from pathlib import Path

from encoders.card.channel import Channel
from encoders.card.service import Begun

ByVerb = dict[str, Begun]
"""What was begun of each verb. What was not begun apart took time of the thread that starts all work: in that time the
process could begin nothing else on the card."""


_NONE = Begun(0, 0.0, 0, False)


def begun(pids: Iterable[int]) -> ByVerb:
    """Of the processes with these ids, since they started; those that have gone do not count."""
    whole: ByVerb = {}
    for pid in pids:
        for verb, of in _begun(pid).items():
            whole[verb] = of.plus(whole.get(verb, _NONE))
    return whole


def _begun(pid: int) -> ByVerb:
    with contextlib.suppress(OSError, EOFError, IndexError):
        files = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[-4].decode()
        channel = Channel(Client(f"{files}.socket", "AF_UNIX"))
        try:
            channel.send(("hello", None, (), False))
            (_, counted), _ = channel.receive()
        finally:
            channel.close()
        return dict(counted)
    return {}


def since(before: ByVerb, after: ByVerb) -> ByVerb:
    """The difference of two."""
    grown = {verb: of.less(before.get(verb, _NONE)) for verb, of in after.items()}
    return {verb: of for verb, of in grown.items() if of.asked}


def told(by_verb: ByVerb, wall: float) -> dict[str, dict[str, float]]:
    """For a report of so many seconds: by verb how often something was begun, how many requests went together on
    average, milliseconds for each time, and the share of its thread's time."""
    return {
        verb: {
            "times": of.times, "together": of.asked / of.times, "ms": 1000 * of.seconds / of.times,
            "share": of.seconds / wall, "apart": of.apart,
        }
        for verb, of in sorted(by_verb.items(), key=lambda item: -item[1].seconds)
    }  # fmt: skip
