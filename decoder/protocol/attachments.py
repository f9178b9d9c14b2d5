"""The files of a request: what its parts and its text refer to, before anything is fetched."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from decoder.protocol.errors import bad_request
from decoder.protocol.request import (
    AudioPart,
    CompletionRequest,
    FilePart,
    ImagePart,
    ImageUrl,
    LinkPart,
)

REJECTED = frozenset({"image/gif", "image/avif"})
"""Formats that the vendor's clients refuse as well: animations are not pictures."""
_URL = re.compile(r"https?://[^\s<>\"'`\])}]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file: either its bytes, or the URL where they are.

    ``field`` is where the request names it, ``name`` a file name or URL that may tell kinds of text apart.
    ``in_text``: it is a URL that stands in a message, not a part of its own.
    """

    field: str
    name: str
    url: str | None = None
    data: bytes | None = None
    in_text: bool = False


def attachments(request: CompletionRequest) -> list[Attachment]:
    """Every file of every user turn, each once, in order. Raises `ChatError` 400 for data that is not base64."""
    found: list[Attachment] = []
    seen: set[str] = set()
    for index, message in enumerate(request.messages):
        if message.role != "user":
            continue
        parts = message.content if isinstance(message.content, list) else []
        named = [a for n, part in enumerate(parts) for a in _of_part(part, f"messages[{index}].content[{n}]")]
        urls = [_in_text(url, f"messages[{index}].content") for url in _URL.findall(message.text)]
        for item in [*named, *urls]:
            if item.url is None or item.url not in seen:
                seen.add(item.url or "")
                found.append(item)
    return found


def _in_text(url: str, field: str) -> Attachment:
    url = url.rstrip(".,;:!?")
    return Attachment(field, url, url=url, in_text=True)


def _of_part(part: Any, field: str) -> Iterator[Attachment]:
    if isinstance(part, ImagePart):
        url = part.image_url
        yield _attachment(url.url if isinstance(url, ImageUrl) else url, f"{field}.image_url.url")
    elif isinstance(part, FilePart):
        key = "file_url" if part.file.file_data is None else "file_data"
        source = part.file.file_data if part.file.file_data is not None else part.file.file_url
        if source is None:
            raise bad_request(f"{field}.file.file_data", "is required")
        _refuse(part.file.format, f"{field}.file.format")
        yield _attachment(source, f"{field}.file.{key}", part.file.filename or "")
    elif isinstance(part, AudioPart):
        yield _attachment(part.input_audio.data, f"{field}.input_audio.data")
    elif isinstance(part, LinkPart):
        link = getattr(part, part.type)
        if link is None:
            raise bad_request(f"{field}.{part.type}", "is required")
        yield _attachment(link.url if isinstance(link, ImageUrl) else link, f"{field}.{part.type}")


def _attachment(source: str, field: str, name: str = "") -> Attachment:
    source = source.strip()
    if source[:8].lower().startswith(("http://", "https://")):
        return Attachment(field, name or source, url=source)
    if source[:5].lower() == "data:":
        return Attachment(field, name, data=_data_uri(source, field))
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", source):
        raise bad_request(field, f"cannot read from {source.partition(':')[0]}: addresses; use https or a data: URI")
    return Attachment(field, name, data=_base64(source, field))


def _data_uri(uri: str, field: str) -> bytes:
    head, comma, payload = uri.partition(",")
    if not comma:
        raise bad_request(field, "a data: URI needs a comma before its data")
    media_type, *parameters = head[5:].split(";")
    _refuse(media_type.strip().lower(), field)
    if "base64" in (parameter.strip().lower() for parameter in parameters):
        return _base64(payload, field)
    data = unquote_to_bytes(payload)
    if not data:
        raise bad_request(field, "the data: URI holds no data")
    return data


def _base64(text: str, field: str) -> bytes:
    """Standard or URL-safe base64, padded or not."""
    if text and not text.isascii():
        raise bad_request(field, "is neither a URL nor base64")
    compact = text if text.isalnum() else "".join(text.split()).replace("-", "+").replace("_", "/")
    compact = compact.rstrip("=")
    if not compact:
        raise bad_request(field, "holds no data")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise bad_request(field, "is neither a URL nor base64") from None


def _refuse(media_type: str | None, field: str) -> None:
    if media_type and media_type.partition(";")[0].strip().lower() in REJECTED:
        raise bad_request(field, f"{media_type} is not supported; convert it to PNG, JPEG or WebP")
