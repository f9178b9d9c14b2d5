"""The fetched sentences and the words in them, in a training part and a held-out part."""

from __future__ import annotations

import lzma
import re
import zlib
from collections import Counter
from functools import lru_cache
from pathlib import Path

TEXTS = Path(".train/texts")
"""Where `fetch_texts` left sentences; without them prose is made from the few patterns of a language's file."""

LATIN = ("en", "de", "es", "fr", "it", "pl")
_WORD = re.compile(r"[^\W\d_]{3,}")


@lru_cache(maxsize=32)
def _all(language: str, folder: Path) -> tuple[str, ...]:
    path = folder / f"{language}.txt.xz"
    return tuple(lzma.decompress(path.read_bytes()).decode().split("\n")) if path.exists() else ()


@lru_cache(maxsize=8)
def vocabulary(held_out: bool, folder: Path = TEXTS) -> tuple[str, ...]:
    """Words of the texts in Latin letters. The held-out ones are a fifth of those that occur once or twice in all: no
    training sentence has one of them. Empty without texts."""
    counts = Counter(word for language in LATIN for line in _all(language, folder) for word in _WORD.findall(line))
    words = sorted(counts)
    return tuple(word for word in words if (counts[word] <= 2 and zlib.crc32(word.encode()) % 5 == 0) == held_out)


@lru_cache(maxsize=64)
def collected(language: str, held_out: bool, folder: Path = TEXTS) -> tuple[str, ...]:
    """The fetched sentences of a language: the held-out tenth, or those of the others without held-out words."""
    lines = [line for line in _all(language, folder) if (zlib.crc32(line.encode()) % 10 == 9) == held_out]
    if held_out:
        return tuple(lines)
    unknown = set(vocabulary(True, folder))
    return tuple(line for line in lines if unknown.isdisjoint(_WORD.findall(line)))
