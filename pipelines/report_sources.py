"""Page pictures, sound and wave forms for the report: read from the source again, or done without."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.base import MediaInput
from encoders.failures import Failure, MediaError
from encoders.media.config import OpeningConfig
from encoders.media.opened import OpenedPage
from encoders.media.opener import MediaOpener
from encoders.results import Page
from pipelines.records import AssetRecord
from pipelines.sources import fetch

DPI = 110  # of document pages; wider than the report shows them
PLAYABLE = {"audio/mpeg", "audio/ogg", "audio/wav", "audio/x-wav", "audio/mp4", "audio/flac", "audio/webm"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as a data: URI, and its size in bytes."""

    uri: str
    size: int


class SourceReader:
    """Opens sources in a child process, as the encoders do; what cannot be opened now is left out, never raised."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._opener = MediaOpener(OpeningConfig(dpi=DPI, ocr="always"))

    def __enter__(self) -> SourceReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opener.close()

    def pictures(self, record: AssetRecord, pages: Sequence[Page]) -> dict[int, Picture]:
        """Pictures of these pages by number, turned as they were read; none when the source is gone or changed."""
        turned = {page.page: page.rotation for page in pages}
        found: dict[int, Picture] = {}
        try:
            data = fetch(record.uri, record.etag or None)
            for start, stop in _runs(turned):
                item = MediaInput(record.uri, record.uri, record.media_type, data=data, start=start - 1, stop=stop)
                for opened in self._opener.pages(item):
                    if isinstance(opened, OpenedPage) and opened.image is not None and opened.page in turned:
                        found[opened.page] = self._encode(opened.image, turned[opened.page])
        except MediaError:
            pass  # the report is of what was read; it stands without the pictures
        return found

    def _encode(self, image: NDArray[np.uint8], rotation: int) -> Picture:
        upright = np.rot90(image, -(rotation // 90))
        height, width = upright.shape[:2]
        if width > self._width:
            size = (self._width, max(1, round(height * self._width / width)))
            upright = cv2.resize(np.ascontiguousarray(upright), size, interpolation=cv2.INTER_AREA)
        bgr = cv2.cvtColor(np.ascontiguousarray(upright), cv2.COLOR_RGB2BGR)
        data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, 62])[1].tobytes()
        return Picture(_data_uri("image/webp", data), len(data))

    def sound(self, record: AssetRecord, limit: int) -> Picture | None:
        """The recording itself, when a browser plays it and it is at most ``limit`` bytes."""
        if record.media_type not in PLAYABLE or not 0 < record.size <= limit:
            return None
        try:
            data = fetch(record.uri, record.etag or None)
        except MediaError:
            return None
        return Picture(_data_uri(record.media_type, data), len(data))

    def wave(self, record: AssetRecord, points: int, longest: float) -> list[float]:
        """Loudness over the recording, ``points`` values in 0..1; empty when it lasts over ``longest`` seconds."""
        duration = record.speech.duration if record.speech is not None else 0.0
        if not 0 < duration <= longest:
            return []
        loudest = np.zeros(points)
        try:
            data = fetch(record.uri, record.etag or None)
            item = MediaInput(record.uri, record.uri, record.media_type, data=data)
            for window in self._opener.audio(item):
                if isinstance(window, Failure):
                    return []
                mono = np.abs(window.samples.astype(np.float32)).max(axis=0)
                at = ((window.start + np.arange(len(mono)) / 16_000) * points / duration).astype(int)
                np.maximum.at(loudest, np.clip(at, 0, points - 1), mono)
        except MediaError:
            return []
        top = float(loudest.max())
        return [round(float(value), 3) for value in np.sqrt(loudest / top)] if top else []


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of every run of consecutive page numbers."""
    ordered = sorted(numbers)
    start = 0
    for index, number in enumerate(ordered):
        if index + 1 == len(ordered) or ordered[index + 1] != number + 1:
            yield ordered[start], number
            start = index + 1


def _data_uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
