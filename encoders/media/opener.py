"""`MediaOpener`: hands out the pages or the audio of a part, opened in a child process that can be killed."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any

from encoders.base import MediaInput
from encoders.failures import Failure, FailureCategory, MediaError
from encoders.heartbeat import beat
from encoders.media.config import OpeningConfig, OpeningLimits
from encoders.media.opened import AudioWindow, OpenedPage, Probe
from encoders.media.process import ChildProcess
from encoders.media.protocol import CANCEL, WINDOW_SECONDS, Delivered, Done, Extent, Failed, Request

RESTARTS_PER_PART = 3
"""A part that killed so many children is given up; what was not reached fails as the last death did."""

CANCEL_SECONDS = 2.0
"""A page that nobody wants any more may take so long in all before its child is killed for it."""


class MediaOpener:
    """Opens parts, one at a time, in a child process of its own.

    The child starts at the first call (or `start`), serves many parts, and is replaced when it hangs, crashes, runs
    out of memory, or has served ``limits.parts_per_child`` parts. One opener serves one thread; a new call ends the
    iterator of the one before. Arrays handed out are copies: they stay valid.
    """

    def __init__(
        self,
        opening: OpeningConfig | None = None,
        limits: OpeningLimits | None = None,
        *,
        _child_module: str = "encoders.media.child",
    ) -> None:
        self.opening = opening or OpeningConfig()
        self.limits = limits or OpeningLimits()
        self._child_module = _child_module
        self._child: ChildProcess | None = None
        self._finalizer: Any = None
        self._turn = 0  # which call the child works for; older iterators are void
        self._busy = False

    def start(self) -> None:
        """Start the child ahead of the first call; returns at once, the child imports meanwhile."""
        self._ready_child()

    def probe(self, item: MediaInput) -> Probe:
        """Media type by content, and pages or seconds. Raises MediaError when the file cannot be opened."""
        for value in self._open("probe", item):
            if isinstance(value, Failure):
                raise MediaError(value.category, value.message, value.page)
            return value  # type: ignore[no-any-return]
        raise MediaError(FailureCategory.CORRUPT, "nothing could be read from the file")

    def pages(self, item: MediaInput) -> Iterator[OpenedPage | Failure]:
        """The pages [start, stop) of a document or image, in order.

        A page that cannot be opened is a Failure with its number, and the next pages follow. A Failure with
        ``page`` None concerns the whole file and is the last thing yielded.
        """
        return self._open("pages", item)

    def audio(self, item: MediaInput) -> Iterator[AudioWindow | Failure]:
        """The seconds [start, stop) of a recording as consecutive windows of at most 30 s.

        Stretches that cannot be decoded are left out; a Failure tells of them when they are most of the part,
        or when opening one of them cost its child.
        """
        return self._open("audio", item)

    def close(self) -> None:
        """End the child. The opener may be used again; it then starts a fresh one."""
        self._turn += 1
        self._end_child(grace=0.2)

    def __enter__(self) -> MediaOpener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- one part ----------------------------------------------------------------------------------------------------

    def _open(self, verb: str, item: MediaInput) -> Iterator[Any]:
        """Yield the part's values; after the death of a child go on with a fresh one behind the unit that killed it."""
        self._turn += 1
        if self._busy:
            self._end_child()
        turn = self._turn
        request = self._request(verb, item)
        extent: Extent | None = None
        for deaths in range(RESTARTS_PER_PART + 1):
            child = self._ready_child()
            self._busy = True
            try:
                for message in self._messages(child, request, item.data, turn):
                    if isinstance(message, Extent):
                        extent = extent or message
                    else:
                        yield message
                return
            except MediaError as error:
                failure, after = _blame(verb, error, child.unit, child.delivered)
                left = request.cpu_seconds - child.cpu_spent()
                self._end_child()
            finally:
                if turn == self._turn:
                    self._settle(child)
            yield failure
            if after is None or extent is None or after >= extent.stop:
                return
            if left < 1.0 or deaths == RESTARTS_PER_PART:
                yield from _given_up(verb, failure, after, extent)
                return
            request = replace(request, start=after, stop=extent.stop, cpu_seconds=left)

    def _messages(self, child: ChildProcess, request: Request, data: bytes | None, turn: int) -> Iterator[Any]:
        """What the child delivers for one request, until it is done. Raises MediaError when the child dies."""
        try:
            child.request(request, data)
        except OSError:
            child.receive(0.0)  # tells what it died of
        while True:
            message = child.receive(self.limits.page_seconds)
            beat()
            if isinstance(message, Done):
                self._busy = False
                if message.retire:
                    self._end_child()
                return
            if isinstance(message, Delivered):
                yield self._unpack(child, message)
            elif isinstance(message, Failed):
                yield message.failure
            else:
                yield message
            if turn != self._turn:
                raise RuntimeError("this iterator has ended: its opener was asked for another part, or closed")

    @staticmethod
    def _unpack(child: ChildProcess, message: Delivered) -> OpenedPage | AudioWindow | Probe:
        value = message.value
        if message.slot is not None:
            if message.shape:
                array = child.slots.read(message.slot, message.shape, message.dtype)
                if isinstance(value, OpenedPage):
                    value.image = array
                elif isinstance(value, AudioWindow):
                    value.samples = array
            with contextlib.suppress(OSError):  # it died after this delivery; the next receive says of what
                child.control.send(message.slot)
        return value

    def _request(self, verb: str, item: MediaInput) -> Request:
        opening, limits = self.opening, self.limits
        return Request(
            verb=verb,
            uri=item.uri,
            media_type=item.media_type,
            path=str(item.path.absolute()) if item.path is not None else None,
            start=item.start,
            stop=item.stop,
            password=item.password,
            dpi=opening.dpi,
            max_pixels=opening.max_pixels,
            ocr=opening.ocr,
            channels=opening.channels,
            max_image_pixels=limits.max_image_pixels,
            max_pages=limits.max_pages,
            max_hours=limits.max_hours,
            max_unpacked=int(limits.max_unpacked_gib * 2**30),
            page_seconds=limits.page_seconds,
            cpu_seconds=limits.cpu_seconds,
            memory_bytes=int(limits.memory_gib * 2**30),
        )

    # -- the child's life --------------------------------------------------------------------------------------------

    def _ready_child(self) -> ChildProcess:
        child = self._child
        if child is not None and (not child.alive or child.parts >= self.limits.parts_per_child):
            self._end_child()
            child = None
        if child is None:
            child = self._child = ChildProcess(self.opening.max_pixels, self._child_module)
            self._finalizer = weakref.finalize(self, child.end)
        return child

    def _settle(self, child: ChildProcess) -> None:
        """Leave the child idle: an iterator that was dropped half-way cancels the rest of its part."""
        if not self._busy or child is not self._child:
            return
        try:
            child.control.send(CANCEL)
            while not isinstance(child.receive(min(self.limits.page_seconds, CANCEL_SECONDS)), Done):
                pass
            self._busy = False
        except (MediaError, OSError):
            self._end_child()

    def _end_child(self, grace: float = 0.0) -> None:
        self._busy = False
        if self._child is not None:
            self._finalizer.detach()
            self._child.end(grace)
            self._child = None


def _blame(verb: str, error: MediaError, unit: float | None, delivered: bool) -> tuple[Failure, float | None]:
    """The failure of the unit that cost its child, and where to go on (None: nowhere)."""
    if unit is None or verb == "probe":
        return error.failure("open"), None
    if delivered:  # it died between two units: the next one is to blame
        unit += 1 if verb == "pages" else WINDOW_SECONDS
    if verb == "pages":
        return Failure(error.category, "open", str(error), page=int(unit)), unit
    return Failure(error.category, "open", f"{error}, at {unit:.0f} s"), unit + WINDOW_SECONDS


def _given_up(verb: str, last: Failure, after: float, extent: Extent) -> Iterator[Failure]:
    """Failures for all that was not reached, so that every page is accounted for."""
    message = f"not opened: pages before it cost too much ({last.message})"
    if verb == "pages":
        for page in range(int(after) + 1, int(extent.stop) + 1):
            yield Failure(last.category, "open", message, page=page)
    else:
        yield Failure(last.category, "open", f"not opened from {after:.0f} s on: {last.message}")
