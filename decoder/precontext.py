"""What the specialists read in the assets that a question is about."""

from __future__ import annotations

from dataclasses import dataclass

from encoders.adapters.soft import SoftTokens
from encoders.results import Detection, DocumentResult, Page, Speech

Result = DocumentResult | Speech | tuple[Detection, ...]


@dataclass(frozen=True, slots=True)
class Precontext:
    """One specialist's result for one part of an asset, with its soft tokens when an adapter made some.

    ``asset`` tells several assets of one question apart; parts of one asset have the same. Without it, pages or times
    that begin again begin another asset. ``pages`` are those that were looked at, where the result is not of pages:
    they say how large a picture is in the pixels of its detections.
    """

    name: str  # the task: ocr, speech_to_text, object_detection, gui_detection
    result: Result
    part_id: str = ""
    soft: SoftTokens | None = None
    asset: str = ""
    pages: tuple[Page, ...] = ()
