"""Which files are read, which are told of, and what is kept of the readings. The encoder's handle is a stand-in: no
file makes a page fail once and be read the next time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cluster.endpoint.config import EndpointLimits
from cluster.endpoint.encoder_app import Reading
from cluster.endpoint.fetch import Fetcher
from cluster.endpoint.perceiving import Perceived, Perceiver
from decoder.protocol.attachments import Attachment
from decoder.protocol.errors import ChatError
from decoder.protocol.routing import Route
from encoders.base import MediaInput, Perception
from encoders.failures import Failure, FailureCategory
from encoders.results import DocumentResult
from encoders.tracing import Trace


class Reader:
    """Answers with what it is given, the last one again and again, and counts."""

    def __init__(self, *perceptions: Perception) -> None:
        self._perceptions = list(perceptions)
        self.asked = list[MediaInput]()
        self.read = self

    async def remote(self, item: MediaInput, soft: bool, trace: Trace) -> Reading:
        self.asked.append(item)
        return Reading(self._perceptions.pop(0) if len(self._perceptions) > 1 else self._perceptions[0], {})


WHOLE = Perception(DocumentResult())
PARTIAL = Perception(DocumentResult(), failures=(Failure(FailureCategory.TIMED_OUT, "ocr", "too slow", page=2),))
CORRUPT = Perception(None, failures=(Failure(FailureCategory.CORRUPT, "open", "not a file of its kind"),))


def part(data: bytes = b"hello") -> Attachment:
    return Attachment("messages[0].content[0].file.file_data", "a.txt", data=data)


def mentioned(number: int = 0) -> Attachment:
    url = f"http://127.0.0.1:9/{number}.txt"  # never fetched: not public
    return Attachment("messages[0].content", url, url=url, in_text=True)


def perceive(reader: Reader, *requests: list[Attachment], task: str | None = None, files: int = 16) -> Perceived:
    """What is perceived at the last of the requests."""

    async def ask() -> Perceived:
        async with Fetcher() as fetcher:
            perceiver = Perceiver({"ocr": reader}, fetcher, EndpointLimits(files=files))
            return [await perceiver(request, task, Route()) for request in requests][-1]

    return asyncio.run(ask())


def test_only_whole_readings_are_kept() -> None:
    reader = Reader(PARTIAL, WHOLE)
    assert "failures" not in perceive(reader, [part()], [part()], [part()]).items[0]
    assert len(reader.asked) == 2, "the page that failed is tried again, the whole file is not"


def test_files_of_a_request_are_different_assets() -> None:
    first, second, again = perceive(Reader(WHOLE), [part(), part(b"other"), part()]).entries
    assert first.asset == again.asset != second.asset and first.part_id != second.part_id


def test_urls_in_a_text_that_are_too_many_are_told_of() -> None:
    reader = Reader(WHOLE)
    perceived = perceive(reader, [mentioned(n) for n in range(40)] + [part()], files=3)
    assert [item["name"] for item in perceived.items] == ["ocr", "fetch", "fetch", "fetch"]
    assert perceived.items[0]["file"] == 40
    left = perceived.items[-1]["result"]
    assert left["error"] == "payload_too_large" and left["url"] == "http://127.0.0.1:9/2.txt"
    assert left["message"].startswith("38 more URLs in the text; at most 3 files")
    with pytest.raises(ChatError, match="4 files; at most 3 are read"):
        perceive(reader, [part()] * 4, files=3)


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x02\x03", b"GIF89a" + bytes(100), b"hello"])
def test_a_file_behind_a_url_in_a_text_that_cannot_be_read_is_told_of(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get(*_: Any) -> bytes:
        return data

    monkeypatch.setattr(Fetcher, "get", get)
    perceived = perceive(Reader(CORRUPT), [mentioned()])
    assert [item["result"]["error"] for item in perceived.items] == ["invalid_request"]
    assert perceived.items[0]["result"]["url"] == mentioned().url and not perceived.entries
    with pytest.raises(ChatError) as caught:  # with nothing else, a task has nothing to tell
        perceive(Reader(CORRUPT), [mentioned()], task="ocr")
    assert caught.value.status == 400
    with pytest.raises(ChatError) as caught:
        perceive(Reader(CORRUPT), [part(data)])
    assert caught.value.status == 400 and caught.value.field == part().field
