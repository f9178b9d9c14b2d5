"""The process that computes for all clients of one card: `python -m encoders.card.server SPEC FILES LOCK SOCKET`.

It leaves the process group of whoever started it, because that one may end before others have done. It ends by itself
when it has had no client for a while, and at once when its card fails or it stands still.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from encoders.card.budget import CardShare, bound_allocator
from encoders.card.channel import Channel
from encoders.card.service import Answer, Asked, Begun, Service, ServiceSpec, Session
from encoders.card.starting import remove
from encoders.card.together import Together
from encoders.card.turns import Turns, Watch
from encoders.failures import MediaError
from encoders.fault_points import fault_point

_log = logging.getLogger(__name__)

Reply = tuple[str, Any]
"""ok and the answer, or what it failed of (memory, media, error) and the reason; begun, to who is alone."""

_SOON = 0.5
"""Seconds in which a client that has connected says hello."""


class CardServer:
    """Serves clients of a loaded service. Each has a thread that talks and waits; work on the card is started by one
    thread for all, because cuDNN's plans, cuBLAS's workspaces and the current device are a thread's own. What is begun
    for several together may have one more."""

    def __init__(self, service: Service, spec: ServiceSpec, files: Path) -> None:
        self._service, self._spec, self._files = service, spec, files
        self._turns = Turns()
        self._watch = Watch(spec.stalled, lambda: _end(1))
        self._starting = self._thread("starting")
        self._together: dict[bool, Together] = {}  # by whether it has a thread of its own
        self._changing = threading.Lock()
        self._clients: set[int] = set()
        self._shares: dict[int, CardShare] = {}  # by client that has said hello
        self._begun: dict[str, Begun] = {}  # by verb
        self._idle = threading.Timer(spec.linger, self._end_idle)

    def serve(self, listening: socket.socket) -> None:
        """Accept clients until the process ends."""
        self._idle.start()
        number = 0
        while True:
            try:
                connection = Connection(listening.accept()[0].detach())
            except OSError as error:  # no descriptors are left, or the client has gone already
                _log.warning("a client could not be accepted: %s", error)
                time.sleep(0.1)
                continue
            number += 1
            self._join(number, None)
            threading.Thread(target=self._client, args=(number, connection), daemon=True).start()

    def _client(self, number: int, connection: Connection) -> None:
        channel = Channel(connection)
        try:
            _use(self._spec.device)
            (_, share, _, _), _ = channel.receive()
            if share is None:  # of one who measures
                channel.send(("ok", dict(self._begun)))
                return
            self._join(number, share)
            channel.send(("ok", self._service.facts()))
            self._converse(number, channel, self._service.session())
        except (EOFError, OSError):
            pass  # it has gone, and what was kept for it goes with this frame
        finally:
            self._watch.done(number)
            channel.close()
            self._leave(number)

    def _converse(self, number: int, channel: Channel, session: Session) -> None:
        while True:
            (verb, arguments, dropped, alone), arrays = channel.receive()
            reply: Reply
            made: Sequence[NDArray[Any]] = ()
            if alone:
                channel.await_room()  # nobody waits for a client that does not read
            with self._turns.alone() if alone else self._turns.beside():
                if alone:
                    channel.send(("begun", None))
                try:
                    session.drop(dropped)
                    answer, made = self._begin(number, session, verb, arguments, arrays)()
                    reply = ("ok", answer)
                except MemoryError as error:
                    reply = ("memory", str(error))
                except MediaError as error:
                    reply = ("media", (error.category, str(error)))
                except Exception as error:
                    reply = ("error", f"{type(error).__name__}: {error}")
                    self._end_if_the_card_failed()
                self._watch.done(number)
            del arrays  # so that the answer says that their memory is free
            try:
                channel.send(reply, made)
            except MemoryError as error:  # of the host, to share the answer in
                channel.send(("memory", str(error)))
            del made, reply

    def _begin(
        self, number: int, session: Session, verb: str, arguments: Any, arrays: Sequence[NDArray[Any]]
    ) -> Callable[[], Answer]:
        """In this client's thread what only moves data, else in the one that starts all work, or with what others ask
        for."""

        fault_point("card.begin", verb)

        def begins() -> None:
            self._watch.begin(number)  # what waits for its turn does not stand still

        def begin() -> Callable[[], Answer]:
            begins()
            return session.begin(verb, arguments, arrays)

        def begin_timed() -> Callable[[], Answer]:
            began = time.perf_counter()
            waiting = begin()
            self._count(verb, 1, time.perf_counter() - began, False)
            return waiting

        if verb in session.moving:
            return begin()
        if verb in session.together:
            return self._beside_others(session.apart).begin(verb, Asked(session, arguments, arrays), begins)
        return self._starting.submit(begin_timed).result()

    def _beside_others(self, apart: bool) -> Together:
        """The queue of what is begun together; it is there once somebody has asked for such."""
        with self._changing:
            if apart not in self._together:
                starting = self._thread("apart") if apart else self._starting
                self._together[apart] = Together(
                    lambda work: starting.submit(work).result(),
                    lambda verb, asked, seconds: self._count(verb, asked, seconds, apart),
                )
            return self._together[apart]

    def _count(self, verb: str, asked: int, seconds: float, apart: bool) -> None:
        """One verb is counted by one thread only."""
        before = self._begun.get(verb, Begun(0, 0.0, 0, apart))
        self._begun[verb] = Begun(before.asked + asked, before.seconds + seconds, before.times + 1, apart)

    def _thread(self, name: str) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, name, initializer=_use, initargs=(self._spec.device,))

    def _join(self, number: int, share: CardShare | None) -> None:
        with self._changing:
            self._idle.cancel()
            self._clients.add(number)
            if share is not None:
                self._shares[number] = share
                self._bound()

    def _leave(self, number: int) -> None:
        with self._changing:
            self._clients.remove(number)
            if self._shares.pop(number, None):
                self._bound()
            if not self._clients:
                self._idle = threading.Timer(self._spec.linger, self._end_idle)
                self._idle.start()

    def _end_idle(self) -> None:
        with self._changing:  # until the process has ended: who comes now is not accepted any more
            if not self._clients:
                remove(self._files)
                _end()

    def _bound(self) -> None:
        """Bound the allocator to what all clients together were given of the card, and give back what it has kept."""
        if self._spec.device.startswith("cuda"):
            import torch

            if self._shares:
                bound_allocator(self._spec.device, list(self._shares.values()))
            torch.cuda.empty_cache()

    def _end_if_the_card_failed(self) -> None:
        """After some errors of a kernel every later call fails as well: then a new process is needed."""
        if self._spec.device.startswith("cuda"):
            import torch

            try:
                torch.cuda.synchronize(self._spec.device)
            except Exception:
                _log.exception("the card failed")
                _end(1)


def _use(device: str) -> None:
    """A thread's card is the first one unless it says otherwise."""
    if device.startswith("cuda:"):
        import torch

        torch.cuda.set_device(device)


def _end(status: int = 0) -> None:
    os._exit(status)  # threads wait for clients, and nothing here is to be written


def _load(spec: ServiceSpec, listening: socket.socket) -> Service:
    """The service. The process ends if it cannot be loaded, having told those who wait for it why."""
    faulthandler.dump_traceback_later(spec.loading, exit=True)
    try:
        return spec.load()
    except BaseException as error:
        logging.getLogger().exception("loading failed")
        reason = f"{type(error).__name__}: {error}"
        listening.settimeout(_SOON)
        with suppress(OSError):  # nobody is waiting any more
            while True:
                channel = Channel(Connection(listening.accept()[0].detach()))
                with suppress(EOFError, OSError):
                    channel.send(("failed", reason))
                channel.close()
        _end(1)
        raise


def main() -> None:
    """Load, and serve on the socket that whoever started this process listens on already."""
    spec, files = ServiceSpec(**json.loads(sys.argv[1])), Path(sys.argv[2])
    lock, handle = map(int, sys.argv[3:])
    if os.fork():
        _end()
    os.setsid()
    for kept in (lock, handle):
        os.set_inheritable(kept, False)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError):  # not allowed to everybody
        os.setpriority(os.PRIO_PROCESS, 0, 0)  # all wait for this one; Ray's workers are niced, and what they start
    sys.setswitchinterval(0.0005)  # the one thread that starts work lets the interpreter go at each kernel
    with suppress(ValueError, OSError):  # each block of memory is a descriptor
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    faulthandler.enable()
    listening = socket.socket(fileno=handle)
    service = _load(spec, listening)
    CardServer(service, spec, files).serve(listening)


if __name__ == "__main__":
    main()
