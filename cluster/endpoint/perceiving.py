"""From the files of a request to what the specialists read in them: only those that the request needs are asked."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from cluster.endpoint.config import EndpointLimits
from cluster.endpoint.encoder_app import Reading
from cluster.endpoint.fetch import Fetcher
from decoder.precontext import Precontext
from decoder.protocol.attachments import REJECTED, Attachment
from decoder.protocol.errors import ChatError, bad_request, from_failure
from decoder.protocol.results import precontext_item, task_result
from decoder.protocol.routing import Route
from encoders.base import MediaInput
from encoders.failures import Failure
from encoders.media import sniff
from encoders.registry import ENCODERS
from encoders.tracing import span

PATIENCE = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between the tries of a call whose replica died."""
_TEXTS = sniff.PLAIN - {sniff.XLSX}
_KEPT = 16  # readings of files, the last ones


@dataclass(frozen=True, slots=True, eq=False)
class Media:
    """A file of the request, fetched and typed by its content."""

    attachment: Attachment
    data: bytes
    media_type: str
    modality: str
    digest: str  # SHA-256 in hex

    @property
    def part_id(self) -> str:
        """What names the file in evidence: the beginning of its digest."""
        return self.digest[:16]


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A file, and an encoder that looks at it for these phrases (none: for everything)."""

    media: Media
    task: str
    queries: tuple[str, ...] = ()


@dataclass(slots=True)
class Perceived:
    """What was read: for the decoder, for `precontext`, and as results of a task; and the parameters by network of
    those that ran for it, and of all that its replicas have loaded."""

    entries: list[Precontext] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    active: dict[str, int] = field(default_factory=dict)
    loaded: dict[str, int] = field(default_factory=dict)


class Perceiver:
    """Fetches files and asks encoders. ``encoders`` are Serve handles by task; one that sleeps wakes when asked.
    ``adapted``: tasks whose soft tokens the decoder reads."""

    def __init__(
        self, encoders: Mapping[str, Any], fetcher: Fetcher, limits: EndpointLimits, adapted: Collection[str] = ()
    ) -> None:
        self._encoders, self._fetcher, self._limits, self._adapted = encoders, fetcher, limits, adapted
        self._fetched = 0  # bytes of files that requests under way have from URLs
        self._readings: OrderedDict[tuple[str, str, str, tuple[str, ...], bool], Reading] = OrderedDict()

    async def picture(self, data: bytes, page: int) -> bytes:
        """One page of a document or image as WebP, in the pixels that results refer to. Raises `ChatError`."""
        media = _typed(Attachment("body", "", data=data), data)
        task = self._first(media)
        if media.modality == "audio":
            raise bad_request("body", f"{media.media_type} has no pages")
        item = MediaInput(media.part_id, media.part_id, media.media_type, data=data, start=page - 1, stop=page)
        found: bytes | Failure = await self._answered(task, lambda: self._encoders[task].picture.remote(item))
        if isinstance(found, Failure):
            raise from_failure(found, "page")
        return found

    async def __call__(self, attachments: Sequence[Attachment], task: str | None, route: Route) -> Perceived:
        """Read all files with the task's encoder, or each with those that the route names for its kind; with the first
        one that is registered for its kind when it names none. Raises `ChatError`, but tells of a URL in a text that
        cannot be read or is one too many."""
        parts = sum(not item.in_text for item in attachments)
        if parts > self._limits.files:
            raise ChatError(413, f"{parts} files; at most {self._limits.files} are read", field="messages")
        if task is not None and not attachments:
            raise bad_request("messages", f"task {task} needs a file or an URL, and there is none")
        with self._room() as grow:
            return await self._perceived(attachments, task, route, grow)

    @contextmanager
    def _room(self) -> Iterator[Callable[[int], None]]:
        """Room for the files that one request fetches; all requests together have as much as for their bodies."""
        held = 0

        def grow(size: int) -> None:
            nonlocal held
            if held + size > self._limits.bodies_bytes:  # which would not fit on an idle server either
                raise ChatError(413, f"the files have more than {self._limits.bodies_bytes} bytes", field="messages")
            if self._fetched + size > self._limits.bodies_bytes:
                raise ChatError(429, "too much is being fetched at once; try again", retry_after=2)
            held += size
            self._fetched += size

        try:
            yield grow
        finally:
            self._fetched -= held

    async def _perceived(
        self, attachments: Sequence[Attachment], task: str | None, route: Route, grow: Callable[[int], None]
    ) -> Perceived:
        taken, left = _chosen(attachments, self._limits.files)
        opened = await _together([self._open(attachments[index], task, route, grow) for index in taken])
        looks = [(index, one) for index, several in zip(taken, opened, strict=True) for one in several]
        outcomes = await _together([self._read(one, decoded=task is None) for _, one in looks])
        perceived, missing = Perceived(), list[dict[str, Any]]()
        for (index, one), outcome in zip(looks, outcomes, strict=True):
            if isinstance(outcome, Reading):
                _add(perceived, one, index, outcome, route.because if task is None else ())
            elif outcome not in missing:  # what cannot be read is told of once, not by every specialist
                missing.append(outcome)
        perceived.items += missing
        if left:
            what = f"{len(left)} more URLs in the text; at most {self._limits.files} files are read"
            perceived.items.append(_missing(left[0], ChatError(413, what)))
        if task is not None and not perceived.results:
            raise bad_request("messages", str(perceived.items[0]["result"]["message"]))
        return perceived

    async def _open(
        self, item: Attachment, task: str | None, route: Route, grow: Callable[[int], None]
    ) -> list[_Opened | dict[str, Any]]:
        """The file with each specialist that looks at it, or what is told of it instead."""
        try:
            data = item.data
            if data is None:
                assert item.url is not None
                with span("fetch"):
                    data = await self._fetcher.get(item.url, item.field, self._limits.url_bytes, grow)
            elif len(data) > self._limits.file_bytes:
                raise ChatError(413, f"the file is larger than {self._limits.file_bytes} bytes", field=item.field)
            media = _typed(item, data)
            return [_Opened(media, name, queries) for name, queries in self._specialists(media, task, route)]
        except ChatError as error:
            return [_missing(item, error)]

    def _specialists(self, media: Media, task: str | None, route: Route) -> list[tuple[str, tuple[str, ...]]]:
        """Who looks at a file, each with its phrases: whoever was asked for, or those of the route that look at its
        kind, or the first that is registered for it."""
        asked = route.of(media.modality)
        if task is not None:
            if media.modality not in ENCODERS[task].modalities:
                kinds = " and ".join(f"{kind}s" for kind in ENCODERS[task].modalities)
                raise bad_request(
                    media.attachment.field, f"{task} reads {kinds}, and this is {media.media_type} ({media.modality})"
                )
            return [(task, asked.get(task, ()))]
        first = self._first(media)
        if media.media_type in _TEXTS:  # there is nothing to look at
            return [(first, ())]
        fit = [
            (name, queries)
            for name, queries in asked.items()
            if name in self._encoders and media.modality in ENCODERS[name].modalities
        ]
        return fit or [(first, ())]

    def _first(self, media: Media) -> str:
        """The first encoder that is registered for the file's kind."""
        for name, entry in ENCODERS.items():
            if media.modality in entry.modalities and name in self._encoders:
                return name
        raise bad_request(media.attachment.field, f"nothing here reads {media.media_type}")

    async def _read(self, opened: _Opened | dict[str, Any], *, decoded: bool) -> Reading | dict[str, Any]:
        """What its encoder reads in it, or what is told of it instead. ``decoded``: the decoder reads it too."""
        if not isinstance(opened, _Opened):
            return opened
        try:
            return await self._asked(
                opened.media, opened.task, opened.queries, decoded and opened.task in self._adapted
            )
        except ChatError as error:
            return _missing(opened.media.attachment, error)

    async def _asked(self, media: Media, task: str, queries: tuple[str, ...], soft: bool) -> Reading:
        name = media.attachment.name or media.part_id
        known = (task, media.digest, media.media_type, queries, soft)
        if known in self._readings:  # the files of earlier turns come again with every turn
            self._readings.move_to_end(known)
            return replace(self._readings[known], loaded={})  # no network runs for it now
        item = MediaInput(media.part_id, name, media.media_type, data=media.data, queries=queries)
        with span("perceive", task=task, media_type=media.media_type) as opened:
            place, encoder = opened.trace, self._encoders[task]
            reading: Reading = await self._answered(task, lambda: encoder.read.remote(item, soft, place))
        if reading.perception.result is None:
            raise from_failure(_worst(reading.perception.failures), media.attachment.field)
        if not reading.perception.failures:  # a page that failed may be read the next time
            self._readings[known] = reading
            if len(self._readings) > _KEPT:
                self._readings.popitem(last=False)
        return reading

    async def _answered(self, task: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What a replica returns; when it dies, what the next one does."""
        from ray.exceptions import RayActorError

        for wait in (*PATIENCE, 0.0):
            try:
                return await ask()
            except RayActorError:
                await asyncio.sleep(wait)  # Serve notices, and starts another one
        raise ChatError(503, f"the replicas of {task} died while they read this file", retry_after=5)


def _chosen(attachments: Sequence[Attachment], most: int) -> tuple[list[int], list[Attachment]]:
    """The numbers of those that are read, and the URLs in texts that are too many beside the parts."""
    room = most - sum(not item.in_text for item in attachments)
    taken, left = list[int](), list[Attachment]()
    for index, item in enumerate(attachments):
        if item.in_text and room <= 0:
            left.append(item)
            continue
        room -= item.in_text
        taken.append(index)
    return taken, left


def _missing(item: Attachment, error: ChatError) -> dict[str, Any]:
    """What is told of a URL inside a message that cannot be read, which is no reason to refuse the message: people
    write about URLs. Raises the error for a file of its own, and where it would help to try again."""
    if not item.in_text or error.status in (429, 503):
        raise error
    return {"name": "fetch", "result": {"error": error.code, "message": error.message, "url": item.url}}


def _typed(item: Attachment, data: bytes) -> Media:
    if not data:
        raise bad_request(item.field, "the file is empty")
    found = sniff.media_type(data[: sniff.HEAD_BYTES], data[-sniff.TAIL_BYTES :], item.name)
    kind = sniff.modality(found)
    if found in REJECTED:
        raise bad_request(item.field, f"{found} is not supported; convert it to PNG, JPEG or WebP")
    if found is None or kind is None:
        raise bad_request(item.field, f"the content is {found or 'of no known type'}, which nothing here reads")
    return Media(item, data, found, kind, hashlib.sha256(data).hexdigest())


def _plain_text(media: Media) -> str | None:
    """The file as it is when it is plain text; None for everything that has pages to look at."""
    if media.media_type not in _TEXTS:
        return None
    encoding = sniff.text_encoding(media.data[: sniff.HEAD_BYTES]) or "utf-8"
    return media.data.decode(encoding, "replace").strip()


def _worst(failures: Sequence[Failure]) -> Failure:
    return next((failure for failure in failures if failure.page is None), failures[0])


def _add(perceived: Perceived, opened: _Opened, file: int, reading: Reading, because: tuple[str, ...]) -> None:
    media, task, result = opened.media, opened.task, reading.perception.result
    assert result is not None
    shaped = task_result(task, result, media.media_type, _plain_text(media))
    if isinstance(result, tuple) and media.modality == "document":
        shaped["pages"] = [{"page": p.page, "width": p.width, "height": p.height} for p in reading.perception.pages]
    item = precontext_item(task, shaped, media.part_id, file, reading.perception.failures)
    if opened.queries:
        item["queries"] = list(opened.queries)
    if because:
        item["because"] = list(because)
    perceived.results.append(shaped)
    perceived.items.append(item)
    pages = reading.perception.pages
    perceived.entries.append(Precontext(task, result, media.part_id, reading.soft, media.digest, pages))
    perceived.active |= reading.active
    perceived.loaded |= reading.loaded


async def _together(waits: Sequence[Any]) -> list[Any]:
    """All at once; when one fails the others are given up."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_outcome(wait)) for wait in waits]
    outcomes = [task.result() for task in tasks]
    for outcome in outcomes:
        if isinstance(outcome, ChatError):
            raise outcome
    return outcomes


async def _outcome(wait: Any) -> Any:
    try:
        return await wait
    except ChatError as error:
        return error
