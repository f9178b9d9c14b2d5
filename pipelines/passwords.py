"""Passwords of locked documents, from a file. They shape no fingerprint and reach no table, log or message."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path

from pipelines.settings import UsageError


class Passwords:
    """Which asset opens with which password. Picklable; prints as nothing but a count."""

    def __init__(self, lines: Sequence[tuple[str, str]] = ()) -> None:
        self._lines = tuple(lines)

    @classmethod
    def read(cls, path: Path | None) -> Passwords:
        """Lines of PATTERN, a tab, PASSWORD; the pattern is a glob over the uri or over the file's name, and the first
        line that fits counts. Empty lines and lines that begin with # are left out. Raises UsageError."""
        if path is None:
            return cls()
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the passwords in {path}: {error}") from error
        lines = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            pattern, tab, password = line.partition("\t")
            if not tab:
                raise UsageError(f"line {number} of {path} has no tab; write PATTERN, a tab and PASSWORD")
            lines.append((pattern.strip(), password))
        return cls(lines)

    def of(self, uri: str) -> str | None:
        """The password of an asset, None when no line fits."""
        name = uri.rpartition("/")[2]
        fits = (word for glob, word in self._lines if fnmatch.fnmatchcase(uri, glob) or fnmatch.fnmatchcase(name, glob))
        return next(fits, None)

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __repr__(self) -> str:
        return f"<{len(self._lines)} passwords>"
