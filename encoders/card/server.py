"""The process that computes for all clients of one card: `python -m encoders.card.server SPEC SOCKET READY`.

It leaves the process group of whoever started it, because that one may end before others have done. It ends by itself
when it has had no client for a while, and at once when its card fails or it stands still.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from encoders.card.channel import Channel
from encoders.card.service import Answer, Service, ServiceSpec, Session
from encoders.failures import MediaError

_log = logging.getLogger(__name__)

STALLED = 300.0
"""Seconds for which nothing that was begun comes to an end, after which the process ends."""

Reply = tuple[str, Any]
"""ok and the answer, or what it failed of (memory, media, error) and the reason."""


class CardServer:
    """Serves clients of a loaded service. Each has a thread that talks and waits; work on the card is started by one
    thread for all, because cuDNN's plans, cuBLAS's workspaces and the current device are a thread's own."""

    def __init__(self, service: Service, device: str, linger: float) -> None:
        self._service, self._device, self._linger = service, device, linger
        self._starting = ThreadPoolExecutor(1, "starting")
        self._changing = threading.Lock()
        self._shares: dict[int, float] = {}  # of the card, by client
        self._working = 0
        self._begun: dict[str, tuple[int, float]] = {}  # by verb: how many, and seconds of the one thread
        self._idle = threading.Timer(linger, _end)

    def serve(self, listener: Listener) -> None:
        """Accept clients until the process ends."""
        self._idle.start()
        number = 0
        while True:
            with contextlib.suppress(OSError, EOFError):
                connection = listener.accept()
                number += 1
                self._join(number, 0.0)
                threading.Thread(target=self._client, args=(number, connection), daemon=True).start()

    def _client(self, number: int, connection: Connection) -> None:
        channel = Channel(connection)
        try:
            (_, share, _), _ = channel.receive()
            if share is None:  # of one who measures
                channel.send(("ok", dict(self._begun)))
                return
            self._join(number, share)
            channel.send(("ok", self._service.facts()))
            self._converse(channel, self._service.session())
        except (EOFError, OSError):
            pass  # it has gone, and what was kept for it goes with this frame
        finally:
            channel.close()
            self._leave(number)

    def _converse(self, channel: Channel, session: Session) -> None:
        while True:
            (verb, arguments, dropped), arrays = channel.receive()
            reply: Reply
            made: Any = ()
            with self._watched():
                try:
                    session.drop(dropped)
                    if verb in session.moving:
                        waiting = session.begin(verb, arguments, arrays)
                    else:
                        waiting = self._starting.submit(self._start, session, verb, arguments, arrays).result()
                    answer, made = waiting()
                    reply = ("ok", answer)
                    del waiting
                except MemoryError as error:
                    reply = ("memory", str(error))
                except MediaError as error:
                    reply = ("media", (error.category, str(error)))
                except Exception as error:
                    reply = ("error", f"{type(error).__name__}: {error}")
                    self._end_if_the_card_failed()
            channel.send(reply, made)
            del arrays, made, reply

    def _start(
        self, session: Session, verb: str, arguments: Any, arrays: Sequence[NDArray[Any]]
    ) -> Callable[[], Answer]:
        began = time.perf_counter()
        waiting = session.begin(verb, arguments, arrays)
        count, seconds = self._begun.get(verb, (0, 0.0))
        self._begun[verb] = count + 1, seconds + time.perf_counter() - began
        return waiting

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """The process ends if nothing that was begun ends for too long: its clients then start another."""
        self._count(+1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._changing:
            self._working += change
            if self._working:
                faulthandler.dump_traceback_later(STALLED, exit=True)
            else:
                faulthandler.cancel_dump_traceback_later()

    def _join(self, number: int, share: float) -> None:
        with self._changing:
            self._idle.cancel()
            self._shares[number] = share
            self._bound()

    def _leave(self, number: int) -> None:
        with self._changing:
            del self._shares[number]
            self._bound()
            if not self._shares:
                self._idle = threading.Timer(self._linger, _end)
                self._idle.start()

    def _bound(self) -> None:
        """Bound the allocator to what all clients together were given of the card."""
        share = sum(self._shares.values())
        if self._device.startswith("cuda") and share:
            import torch

            torch.cuda.set_per_process_memory_fraction(min(1.0, share), int(self._device.partition(":")[2] or 0))

    def _end_if_the_card_failed(self) -> None:
        """After some errors of a kernel every later call fails as well: then a new process is needed."""
        if self._device.startswith("cuda"):
            import torch

            try:
                torch.cuda.synchronize(self._device)
            except Exception:
                _log.exception("the card failed")
                _end(1)


def _end(status: int = 0) -> None:
    os._exit(status)  # threads wait for clients, and nothing here is to be written


def main() -> None:
    """Load, say that it is ready on the given descriptor, and serve."""
    spec = ServiceSpec(**json.loads(sys.argv[1]))
    path, ready = Path(sys.argv[2]), int(sys.argv[3])
    if os.fork():
        _end()
    os.setsid()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    faulthandler.enable()
    service = spec.load()
    path.unlink(missing_ok=True)  # of a process that has ended: whoever started this one holds the lock
    listener = Listener(str(path), "AF_UNIX", backlog=256)
    os.write(ready, b"ready")
    os.close(ready)
    CardServer(service, spec.device, spec.linger).serve(listener)


if __name__ == "__main__":
    main()
