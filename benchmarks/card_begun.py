"""What the process on a card began for its clients, and how much of its one starting thread's time that took."""

from __future__ import annotations

import contextlib
from multiprocessing.connection import Client
from pathlib import Path

from encoders.card.channel import Channel

Begun = dict[str, tuple[int, float]]
"""By verb: how many, and seconds in which the process could begin nothing else on the card."""


def begun(pid: int) -> Begun:
    """Of the process with this id, since it started; empty when it has gone."""
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


def since(before: Begun, after: Begun) -> Begun:
    """The difference of two."""
    grown = {verb: (count - before.get(verb, (0, 0.0))[0], of - before.get(verb, (0, 0.0))[1])
             for verb, (count, of) in after.items()}  # fmt: skip
    return {verb: of for verb, of in grown.items() if of[0]}
