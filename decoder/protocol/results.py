"""What the specialists found, in the shapes of the chat API: a task's result and the items of `precontext`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from encoders.failures import Failure
from encoders.results import Chunk, Detection, DocumentResult, Line, Page, Quad, Speech

WIRE_NAMES = {"speech_to_text": "stt"}
"""Names of specialists in `precontext` where they differ from the task's."""


def task_result(
    task: str, result: DocumentResult | Speech | tuple[Detection, ...] | None, media_type: str, text: str | None = None
) -> dict[str, Any]:
    """One file's result in the task's shape. Geometry is in pixels of the page, times in seconds.

    ``text``: the file is plain text, this one, and has no geometry.
    """
    if text is not None:
        return {"extracted_text": text, "sections": [], "width": None, "height": None}
    if isinstance(result, DocumentResult):
        return _ocr(result, media_type)
    if isinstance(result, Speech):
        return _speech(result)
    key = "gui_elements" if task == "gui_detection" else "detected_objects"
    label = "type" if task == "gui_detection" else "label"
    return {key: [_detection(item, label, media_type) for item in result or ()]}


def precontext_item(
    task: str, result: Mapping[str, Any], part_id: str, file: int, failures: Sequence[Failure] = ()
) -> dict[str, Any]:
    """One item of `precontext`. ``part_id`` is what evidence refers to, ``file`` counts the request's files from 0.
    Pages or stretches that could not be read are told of beside the result."""
    item: dict[str, Any] = {
        "name": WIRE_NAMES.get(task, task),
        "result": dict(result),
        "part_id": part_id,
        "file": file,
    }
    if failures:
        item["failures"] = [{"category": f.category.value, "message": f.message, "page": f.page} for f in failures]
    return item


def task_content(called: str, results: Sequence[Mapping[str, Any]]) -> str:
    """The answer of a task turn: a JSON text. The name is the one that the caller used."""
    content: dict[str, Any] = {"name": called, "result": results[0]}
    if len(results) > 1:
        content["results"] = [{"name": called, "result": result} for result in results]
    return compact(content)


def compact(value: Any) -> str:
    """JSON without spaces, letters of all scripts as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def bounds(quad: Quad) -> dict[str, Any]:
    """Four corners, and the mean width and height of a quad that may be tilted."""
    x = [round(value) for value in quad[0::2]]
    y = [round(value) for value in quad[1::2]]
    left, right, below_right, below_left = ({"x": a, "y": b} for a, b in zip(x, y, strict=True))
    return {
        "top_left": left,
        "top_right": right,
        "bottom_right": below_right,
        "bottom_left": below_left,
        "width": _half(abs(x[1] - x[0]) + abs(x[2] - x[3])),
        "height": _half(abs(y[3] - y[0]) + abs(y[2] - y[1])),
    }


def _half(total: int) -> int | float:
    return total // 2 if total % 2 == 0 else total / 2


def _ocr(result: DocumentResult, media_type: str) -> dict[str, Any]:
    text = "\n".join(filter(None, (_page_text(page) for page in result.pages)))
    first = result.pages[0] if result.pages else None
    found: dict[str, Any] = {
        "extracted_text": text,
        "sections": [_section(page) for page in result.pages],
        "width": first.width if first else None,
        "height": first.height if first else None,
    }
    if not media_type.startswith("image/"):
        found["total_pages"] = len(result.pages)
    return found


def _page_text(page: Page) -> str:
    return "\n".join(line.text for line in page.lines) if page.lines else page.text


def _section(page: Page) -> dict[str, Any]:
    lines = [_line(line) for line in page.lines]
    return {"text": _page_text(page), "page": page.page, "width": page.width, "height": page.height, "lines": lines}


def _line(line: Line) -> dict[str, Any]:
    return {
        "text": line.text,
        "bounds": bounds(line.quad),
        "average_confidence": round(line.confidence, 2),
        "words": [
            {"text": word.text, "bounds": bounds(word.quad), "confidence": round(word.confidence, 2)}
            for word in line.words
        ],
    }


def _speech(speech: Speech) -> dict[str, Any]:
    return {"text": speech.text, "chunks": [_chunk(chunk) for chunk in speech.chunks]}


def _chunk(chunk: Chunk) -> dict[str, Any]:
    found: dict[str, Any] = {"text": chunk.text, "timestamp": [_seconds(chunk.start), _seconds(chunk.end)]}
    if chunk.speaker is not None:
        found["speaker"] = chunk.speaker
    if chunk.words:
        found["words"] = [{"text": w.text, "timestamp": [_seconds(w.start), _seconds(w.end)]} for w in chunk.words]
    return found


def _seconds(value: float) -> float:
    return round(float(value), 3)


def _detection(item: Detection, label: str, media_type: str) -> dict[str, Any]:
    found = {label: item.label, "bounds": bounds(item.quad), "confidence": round(item.confidence, 2)}
    return found if media_type.startswith("image/") else found | {"page": item.page}
