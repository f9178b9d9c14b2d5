"""The faces that documents are set in: by split, style and the letters they have."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipelines.train.script.faces import coverage
from pipelines.train.script.render import Face

STYLES = ("sans", "serif", "mono", "condensed", "receipt", "display", "hand", "cjk")
_EVALUATION = ("Noto", "Liberation")
_SYSTEM_STYLES = (("CJK", "cjk"), ("Mono", "mono"), ("Narrow", "condensed"), ("Serif", "serif"), ("Sans", "sans"))
_SIMPLIFIED = "们这说时谢购票银"
"""What a Japanese face lacks: without these no Chinese is set in it."""
_NOT_TEXT = ("Emoji", "Math", "Symbol", "Music")


@dataclass(frozen=True, slots=True)
class Known:
    """A face with what it is good for."""

    face: Face
    style: str
    held_out: bool
    letters: frozenset[int]


class Faces:
    """Font files under some folders. ``SPLIT/STYLE/name.ttf``, as `fetch_fonts` lays them, says what a face is for;
    elsewhere only the Noto and Liberation faces count, which are held out."""

    def __init__(self, folders: Iterable[Path] = (Path(".train/fonts"),)) -> None:
        """Raises `FileNotFoundError` when there is no training face in the folders."""
        self.known = tuple(entry for folder in folders for entry in _index(Path(folder)))
        if not any(not entry.held_out for entry in self.known):
            raise FileNotFoundError(
                "no training fonts: run python -m pipelines.train.hybrid.documents.fetch_fonts, "
                "or name the folder it wrote to"
            )
        self._picked: dict[tuple[str, tuple[str, ...], bool], tuple[Face, ...]] = {}

    def of(self, letters: str, styles: Sequence[str], *, held_out: bool) -> tuple[Face, ...]:
        """The faces of one split and some styles that have all the letters; of any style when those have none."""
        key = (letters, tuple(styles), held_out)
        if key not in self._picked:
            wanted = {ord(letter) for letter in letters if letter != " "}
            if any(0x4E00 <= code <= 0x9FFF for code in wanted) and not any(
                0x3040 <= code <= 0x30FF for code in wanted
            ):
                wanted |= {ord(letter) for letter in _SIMPLIFIED}
            able = [e for e in self.known if e.held_out == held_out and wanted <= e.letters]
            styled = [e.face for e in able if e.style in styles]
            self._picked[key] = tuple(styled or [e.face for e in able])
        return self._picked[key]

    def pick(self, rng: random.Random, letters: str, styles: Sequence[str], *, held_out: bool) -> Face:
        """One of them. Raises `LookupError` when no face has the letters."""
        if not (able := self.of(letters, styles, held_out=held_out)):
            raise LookupError(f"no {'held-out' if held_out else 'training'} face has all of {letters!r}")
        return rng.choice(able)


@lru_cache(maxsize=8)
def _index(folder: Path) -> tuple[Known, ...]:
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in (".ttf", ".otf", ".ttc") or any(name in path.name for name in _NOT_TEXT):
            continue
        if path.parent.name in STYLES:
            style, held_out = path.parent.name, path.parent.parent.name == "held_out"
        elif path.name.startswith(_EVALUATION):
            style, held_out = next((style for name, style in _SYSTEM_STYLES if name in path.name), "sans"), True
        else:
            continue
        letters = coverage(Face(path))
        if {ord("a"), ord("0")} <= letters:
            found.append(Known(Face(path), style, held_out, letters))
    return tuple(found)
