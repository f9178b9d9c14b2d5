"""Text as letters for CTC."""

from __future__ import annotations

LETTERS = " abcdefghijklmnopqrstuvwxyz'0123456789"


def spelled(text: str) -> list[int]:
    """The letters of a text, counted from 1; 0 is CTC's blank."""
    return [LETTERS.index(letter) + 1 for letter in " ".join(text.lower().split()) if letter in LETTERS]
