"""The named drawings that training uses: icons of several sets and emoji, out of unpacked npm packages.

npm pack @tabler/icons@3.51.0 && tar xzf ...    # and so on; docs/detection.md lists the packages
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HELD_OUT_ICONS = "lucide"
LATER_ICONS = "phosphor"  # of the screens of kits that are marked so
HELD_OUT_EMOJI = "noto"
HELD_OUT_SHARE = 0.12  # of the categories of things
_THINGS = (3, 4, 5, 6, 7)  # emojibase groups: animals and nature, food, travel, activities, objects
_TONE = re.compile(r"\b(light|medium|dark)\b|skin tone")
_NUMBER = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture: its set, what it is called (the first name is the main one), and its SVG."""

    source: str
    names: tuple[str, ...]
    svg: str
    emoji: bool
    group: int = -1  # emojibase group


def drawings(packages: Path) -> Iterator[Drawing]:
    """All drawings, held out or not, in a fixed order."""
    yield from _tabler(packages)
    yield from _folders(packages, "bootstrap-icons-*/icons", "bootstrap")
    for style in ("filled", "outlined", "two-tone"):
        yield from _folders(packages, f"material-design-icons-svg-*/{style}", f"material-{style}")
    yield from _fluent(packages)
    yield from _lucide(packages)
    for package, source in (
        ("iconify-json-fluent-emoji-1*", "fluent-emoji"),
        ("iconify-json-fluent-emoji-flat-*", "fluent-emoji-flat"),
        ("iconify-json-twemoji-*", "twemoji"),
        ("iconify-json-noto-*", HELD_OUT_EMOJI),
    ):
        yield from _emoji(packages, package, source)


def later_icons(packages: Path) -> list[Drawing]:
    """The icons that were kept for the last reading: no training and no check has any of them."""
    return list(_folders(packages, "phosphor-icons-core-*/assets/regular", LATER_ICONS))


@cache
def held_out_categories(packages: Path) -> tuple[str, ...]:
    """Names of things that no training drawing may show; the same for every run."""
    names = sorted(
        label
        for label, (_, group) in _emoji_names(packages).items()
        if group in _THINGS and len(label.split()) <= 2 and label.replace(" ", "").isalpha()
    )
    return tuple(sorted(random.Random(5).sample(names, round(HELD_OUT_SHARE * len(names)))))


def is_held_out(drawing: Drawing, categories: tuple[str, ...]) -> bool:
    """Whether training must not see it: a held-out set, or a category kept out under whatever main name holds it."""
    if drawing.source in (HELD_OUT_ICONS, HELD_OUT_EMOJI):
        return True
    words = set(drawing.names[0].split())
    return any(words >= set(category.split()) for category in categories)


def _words(slug: str) -> str:
    return " ".join(re.sub(r"[-_]+", " ", slug).lower().split())


def _tabler(packages: Path) -> Iterator[Drawing]:
    root = _only(packages, "tabler-icons-*")
    tags = json.loads((root / "icons.json").read_text("utf-8"))
    for style in ("outline", "filled"):
        for file in sorted((root / "icons" / style).glob("*.svg")):
            row = tags.get(file.stem, {})
            if not _NUMBER.search(file.stem) and row.get("category") != "Brand":
                names = [_words(file.stem), *(str(tag).lower() for tag in row.get("tags", ()))]
                yield Drawing(f"tabler-{style}", _unique(names), file.read_text("utf-8"), False)


def _folders(packages: Path, pattern: str, source: str) -> Iterator[Drawing]:
    for file in sorted(_only(packages, pattern).glob("*.svg")):
        stem = re.sub(r"-fill$", "", file.stem)
        if not _NUMBER.search(stem):
            yield Drawing(source, (_words(stem),), file.read_text("utf-8"), False)


def _fluent(packages: Path) -> Iterator[Drawing]:
    icons = json.loads((_only(packages, "iconify-json-fluent-1*") / "icons.json").read_text("utf-8"))["icons"]
    for style in ("regular", "filled"):
        largest: dict[str, tuple[int, str]] = {}
        for name in icons:
            if match := re.fullmatch(rf"([a-z-]+)-(\d+)-{style}", name):
                base, size = match.group(1), int(match.group(2))
                largest[base] = max(largest.get(base, (0, "")), (size, name))
        for base, (_, name) in sorted(largest.items()):
            width = icons[name].get("width", 20)
            svg = _svg(icons[name]["body"], width, icons[name].get("height", width))
            yield Drawing(f"fluent-{style}", (_words(base),), svg, False)


def _lucide(packages: Path) -> Iterator[Drawing]:
    root = _only(packages, "lucide-static-*")
    tags = json.loads((root / "tags.json").read_text("utf-8"))
    for file in sorted((root / "icons").glob("*.svg")):
        if not _NUMBER.search(file.stem):
            names = [_words(file.stem), *(tag.lower() for tag in tags.get(file.stem, ()))]
            yield Drawing(HELD_OUT_ICONS, _unique(names), file.read_text("utf-8"), False)


def _emoji(packages: Path, pattern: str, source: str) -> Iterator[Drawing]:
    data = json.loads((_only(packages, pattern) / "icons.json").read_text("utf-8"))
    known = _emoji_names(packages)
    width, height = data.get("width", 32), data.get("height", 32)
    for slug, icon in data["icons"].items():
        label = _words(slug)
        if _TONE.search(label) or label not in known:
            continue
        tags, group = known[label]
        svg = _svg(icon["body"], icon.get("width", width), icon.get("height", height))
        yield Drawing(source, _unique([label, *tags]), svg, True, group)


@cache
def _emoji_names(packages: Path) -> dict[str, tuple[tuple[str, ...], int]]:
    """Label to (tags, group) of every emoji in Unicode."""
    rows = json.loads((_only(packages, "emojibase-data-*") / "en/data.json").read_text("utf-8"))
    return {
        _words(re.sub(r"[^\w\s-]", "", row["label"])): (tuple(row.get("tags", ())), row["group"])
        for row in rows
        if "group" in row and row["group"] != 9  # flags tell countries, not things
    }


def _svg(body: str, width: float, height: float) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{body}</svg>'


def _unique(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _only(packages: Path, pattern: str) -> Path:
    found = sorted(path for path in packages.glob(pattern) if path.is_dir())
    if not found:
        raise FileNotFoundError(f"no {pattern} under {packages}: unpack the npm packages that docs/detection.md lists")
    return found[-1]
