"""Failures as values: what went wrong with one part or page, and whose turn it is to act."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from encoders.redaction import redact


class FailureCategory(StrEnum):
    """Why a part or page has no result. Each member says whether it speaks of the asset or of the attempt."""

    PASSWORD_REQUIRED = "password_required"  # asset: opens only with a password; permanent until one is given
    CORRUPT = "corrupt"  # asset or page: the bytes claim a format that they do not follow; permanent
    EMPTY = "empty"  # asset: zero bytes, or a container without pages, frames or samples; permanent
    UNSUPPORTED = "unsupported"  # asset: a media type that no encoder reads; permanent
    TOO_LARGE = (
        "too_large"  # asset or page: over a limit of pixels, pages, seconds or bytes; permanent until it is raised
    )
    TIMED_OUT = "timed_out"  # attempt: opening or reading took longer than its limit; may pass on another machine
    CRASHED = "crashed"  # attempt: the process that read it died; set aside after two strikes
    OUT_OF_MEMORY = "out_of_memory"  # attempt: host or device memory ran out even in a batch of one
    DOWNLOAD_FAILED = "download_failed"  # attempt: the store did not hand over the bytes, or they changed since listing
    MODEL_FAILED = "model_failed"  # attempt: a network raised an error or returned numbers that are not finite

    @property
    def transient(self) -> bool:
        """Whether another attempt may succeed with the same bytes and settings."""
        return self in _TRANSIENT


MAX_MESSAGE = 1000  # characters; libraries quote whole files

_TRANSIENT = frozenset(
    {
        FailureCategory.TIMED_OUT,
        FailureCategory.CRASHED,
        FailureCategory.OUT_OF_MEMORY,
        FailureCategory.DOWNLOAD_FAILED,
        FailureCategory.MODEL_FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong. ``page`` counts from 1 and is None when the whole part is concerned.

    The message ends up in tables and reports: credentials are taken out of it.
    """

    category: FailureCategory
    stage: str  # probe, download, open, ocr, speech_to_text, answer, ...
    message: str
    task: str | None = None
    page: int | None = None
    attempt: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", redact(self.message)[:MAX_MESSAGE])

    def at(self, *, stage: str | None = None, task: str | None = None, attempt: int | None = None) -> Failure:
        """The same failure as seen by a caller that knows more about where it happened."""
        return replace(
            self,
            stage=stage or self.stage,
            task=task or self.task,
            attempt=self.attempt if attempt is None else attempt,
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether host or device memory ran out, in the words of torch, CTranslate2, ONNX Runtime, OpenVINO or Python."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, without importing it
        return True
    text = str(error).lower()
    return any(words in text for words in ("out of memory", "bad_alloc", "failed to allocate memory", "alloc_failed"))


class InterlaceError(Exception):
    """An error whose text is meant for the user: what happened, to which file, and what to do next.

    Credentials that an error underneath quoted are taken out of it.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(redact(arg) if isinstance(arg, str) else arg for arg in args))


class MediaError(InterlaceError):
    """Raised below the encoders when media cannot be opened; becomes a `Failure` at the encoder's edge."""

    def __init__(self, category: FailureCategory, message: str, page: int | None = None) -> None:
        super().__init__(message)
        self.category = category
        self.page = page

    def __reduce__(self) -> tuple[type[MediaError], tuple[FailureCategory, str, int | None]]:
        # Exceptions pickle by their args alone; without this the category is lost between child and actor.
        return type(self), (self.category, str(self), self.page)

    def failure(self, stage: str, task: str | None = None) -> Failure:
        """This error as a value."""
        return Failure(self.category, stage, str(self), task, self.page)
