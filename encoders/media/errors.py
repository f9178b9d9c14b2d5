"""Turns what opening libraries raise into failures with a category."""

from __future__ import annotations

import traceback
from pathlib import Path

from encoders.failures import Failure, FailureCategory, MediaError


def as_failure(error: BaseException, page: int | None = None) -> Failure:
    """An error of an opening library as a value."""
    if isinstance(error, MediaError):
        return Failure(error.category, "open", str(error), page=error.page if error.page is not None else page)
    text = f"{type(error).__name__}: {error}".strip()[:500] + _own_place(error)
    if isinstance(error, MemoryError) or "malloc" in text or "cannot allocate" in text.lower():
        return Failure(FailureCategory.OUT_OF_MEMORY, "open", f"opening ran out of memory ({text})", page=page)
    if isinstance(error, FileNotFoundError | PermissionError):
        return Failure(FailureCategory.DOWNLOAD_FAILED, "open", f"the file cannot be read ({text})", page=page)
    if "decompression bomb" in text.lower() or "Decompressed data too large" in text or "MAX_TEXT" in text:
        return Failure(FailureCategory.TOO_LARGE, "open", f"it unpacks to more than its kind may ({text})", page=page)
    return Failure(FailureCategory.CORRUPT, "open", f"the file cannot be decoded ({text})", page=page)


def _own_place(error: BaseException) -> str:
    """Where in this package an error was raised; nothing for errors of the libraries, which damaged files explain."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or Path(frames[-1].filename).parent != Path(__file__).parent:
        return ""
    return f", {Path(frames[-1].filename).name}:{frames[-1].lineno}"
