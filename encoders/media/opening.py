"""What the child does for one part: look at the content, then hand over to the module that opens such content.

An opening is an iterator of events: an `Extent` once the file is open; before each unit its number (page from 1, or
seconds), then the `OpenedPage` or `AudioWindow` itself or its `Failure`. Errors that concern the whole part are raised.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass

from encoders.failures import Failure, FailureCategory, MediaError
from encoders.media import sniff
from encoders.media.opened import AudioWindow, OpenedPage, Probe
from encoders.media.protocol import Extent, Request

Event = Extent | OpenedPage | AudioWindow | Probe | Failure | int | float


@dataclass(frozen=True, slots=True)
class Source:
    """The request, and the path under which the child finds the bytes."""

    request: Request
    path: str


def open_part(source: Source) -> Iterator[Event]:
    """The events of a part. Raises MediaError for what concerns all of it."""
    request = source.request
    found = _look(source)
    kind = sniff.modality(found)
    if kind == "audio":
        from encoders.media import recording as opener
    elif kind == "image":
        from encoders.media import picture as opener  # type: ignore[no-redef]
    elif found in sniff.PLAIN:
        from encoders.media import plain_text as opener  # type: ignore[no-redef]
    elif kind == "document":
        from encoders.media import document as opener  # type: ignore[no-redef]
    else:
        if found == "application/x-ole-storage" and _has_encrypted_package(source):
            raise MediaError(FailureCategory.PASSWORD_REQUIRED, "an office file locked with a password")
        what = f"media type {found}" if found else "neither a known media type nor text"
        raise MediaError(FailureCategory.UNSUPPORTED, f"no encoder reads this content: {what}")
    assert found is not None
    if request.verb == "probe":
        yield _within_limits(opener.probe(source, found), request)
    elif request.verb == "pages" and kind == "audio":
        raise MediaError(FailureCategory.UNSUPPORTED, f"a recording ({found}) has no pages")
    elif request.verb == "audio" and kind != "audio":
        raise MediaError(FailureCategory.UNSUPPORTED, f"a {kind} ({found}) has no sound")
    else:
        yield from opener.opened(source, found)


def _has_encrypted_package(source: Source) -> bool:
    """Office files with a password are OLE containers; their directory says so in UTF-16."""
    with open(source.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # noqa: PTH123
        return content.find("EncryptedPackage".encode("utf-16-le")) >= 0


def _within_limits(seen: Probe, request: Request) -> Probe:
    """The probe, unless a file of a few bytes declares so much that its manifest alone would be a bomb."""
    if seen.pages > request.max_pages:
        message = f"it declares {seen.pages:,} pages, the limit is {request.max_pages:,} (ocr.limits.max_pages)"
        raise MediaError(FailureCategory.TOO_LARGE, message)
    hours = seen.seconds / 3600
    if hours > request.max_hours:
        message = f"it declares {hours:,.1f} hours, the limit is {request.max_hours:g} (ocr.limits.max_hours)"
        raise MediaError(FailureCategory.TOO_LARGE, message)
    return seen


def whole_text(source: Source) -> bytes:
    """The bytes of a file that is read as a whole. Raises MediaError when they are too many."""
    with open(source.path, "rb") as file:  # noqa: PTH123
        size = os.fstat(file.fileno()).st_size
        if size > source.request.max_unpacked:
            message = f"{size:,} bytes of text, the limit is {source.request.max_unpacked:,} (ocr.limits)"
            raise MediaError(FailureCategory.TOO_LARGE, message)
        return file.read()


def page_range(request: Request, count: int) -> range:
    """The pages of the request, counted from 0, that a file of ``count`` pages has. Raises MediaError when empty."""
    start, stop = int(request.start), count if request.stop is None else min(int(request.stop), count)
    if start >= stop:
        raise MediaError(FailureCategory.CORRUPT, f"pages {start + 1} to {request.stop} of {count} do not exist")
    return range(start, stop)


def _look(source: Source) -> str | None:
    with open(source.path, "rb") as file:  # noqa: PTH123 (also a descriptor under /proc)
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise MediaError(FailureCategory.EMPTY, "the file has no bytes")
        head = file.read(sniff.HEAD_BYTES)
        file.seek(max(size - sniff.TAIL_BYTES, 0))
        tail = file.read()
    return sniff.media_type(head, tail, source.request.uri)
