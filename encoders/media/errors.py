"""Turns what opening libraries raise into failures with a category."""

from __future__ import annotations

from encoders.failures import Failure, FailureCategory, MediaError


def as_failure(error: BaseException, page: int | None = None) -> Failure:
    """An error of an opening library as a value."""
    if isinstance(error, MediaError):
        return Failure(error.category, "open", str(error), page=error.page if error.page is not None else page)
    text = f"{type(error).__name__}: {error}".strip()[:500]
    if isinstance(error, MemoryError) or "malloc" in text or "cannot allocate" in text.lower():
        return Failure(FailureCategory.OUT_OF_MEMORY, "open", f"opening ran out of memory ({text})", page=page)
    if isinstance(error, FileNotFoundError | PermissionError):
        return Failure(FailureCategory.DOWNLOAD_FAILED, "open", f"the file cannot be read ({text})", page=page)
    return Failure(FailureCategory.CORRUPT, "open", f"the file cannot be decoded ({text})", page=page)
