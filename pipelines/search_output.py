"""How search hits are printed: coloured on a terminal, tab-separated fields or JSON lines elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from encoders.results import extent
from pipelines.search import Hit


def show(hits: Iterable[Hit], console: Console, *, as_json: bool = False) -> int:
    """Print hits as they come: JSON lines, a coloured line each on a terminal, tab-separated fields elsewhere.

    Returns their number.
    """
    count = 0
    for hit in hits:
        count += 1
        if as_json:
            print(json.dumps(asdict(hit), ensure_ascii=False), file=console.file)
        elif console.is_terminal:
            console.print(_coloured(hit))
        else:
            context = " ".join(filter(None, (hit.before, f"[{hit.text}]", hit.after)))
            print("\t".join((_printable(hit.uri), _place(hit), _box(hit), _printable(context))), file=console.file)
    return count


def _coloured(hit: Hit) -> Table:
    place = Text(f"{_printable(hit.uri)}  ", "cyan").append(_place(hit), "bold").append(f"  {_box(hit)}", "dim")
    words = (
        Text(_printable(hit.before)).append(f" {_printable(hit.text)} ", "bold yellow").append(_printable(hit.after))
    )
    grid = Table.grid(padding=(0, 0, 1, 0))
    grid.add_row(place)
    grid.add_row(words)
    return grid


def _printable(text: str) -> str:
    """Without control characters: text from a hostile file must not steer the terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _place(hit: Hit) -> str:
    if hit.page is not None:
        return f"page {hit.page}"
    who = f" {hit.speaker}" if hit.speaker else ""
    return f"{clock(hit.start or 0.0)}-{clock(hit.end or 0.0)}{who}"


def _box(hit: Hit) -> str:
    boxes = (",".join(f"{value:.0f}" for value in extent(quad)) for quad in hit.quads)
    return " ".join(boxes) or "-"


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss.s."""
    tenths = round(seconds * 10)
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
