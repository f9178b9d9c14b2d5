"""What can go wrong with a checkpoint. Every message says what happened, to which file, and what to do next."""

from __future__ import annotations

from encoders.failures import InterlaceError


class CheckpointError(InterlaceError):
    """A checkpoint cannot be found, fetched, converted or trusted."""


class HashMismatch(CheckpointError):
    """A file is not the one that the lock file names."""

    def __init__(self, file: str, expected: str, found: str, advice: str) -> None:
        super().__init__(f"{file} is not the file that was expected: sha256 {expected}, found {found}. {advice}")
        self.file = file
        self.expected = expected
        self.found = found
        self.advice = advice

    def __reduce__(self) -> tuple[type[HashMismatch], tuple[str, str, str, str]]:
        return type(self), (self.file, self.expected, self.found, self.advice)
