"""The fetched sentences and the words in them, in a training part and a held-out part."""

from __future__ import annotations

import lzma
import re
import zlib
from functools import lru_cache
from pathlib import Path

from pipelines.train.hybrid.speech.texts import held_word

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
    """Words of the texts in Latin letters; apart those that speech keeps from training too. Empty without texts."""
    words = {word for language in LATIN for line in _all(language, folder) for word in _WORD.findall(line)}
    return tuple(word for word in sorted(words) if held_word(word) == held_out)


@lru_cache(maxsize=64)
def collected(language: str, held_out: bool, folder: Path = TEXTS) -> tuple[str, ...]:
    """The fetched sentences of a language: those with a held-out word (of Chinese and Japanese every tenth), or the
    others."""
    lines = _all(language, folder)
    if language not in LATIN:
        return tuple(line for line in lines if (zlib.crc32(line.encode()) % 10 == 9) == held_out)
    unknown = set(vocabulary(True, folder))
    return tuple(line for line in lines if unknown.isdisjoint(_WORD.findall(line)) != held_out)
