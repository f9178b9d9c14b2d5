"""Training logs as one drawing: ``python -m pipelines.train.detection.curves OUT.svg LOG.jsonl ...``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

WIDTH, HEIGHT, GAP = 420, 180, 40
SHOWN = ("loss", "recall", "recall_kind", "icon_of_25", "emoji_of_25")
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e")


def panel(name: str, rows: list[dict[str, float]], top: int) -> str:
    """One log: each value over the steps, scaled to its largest."""
    last = max((row["step"] for row in rows if "step" in row), default=1)
    out = [f'<text x="8" y="{top + 14}" font-size="12">{name}, {last} steps</text>']
    for number, (key, colour) in enumerate(zip(SHOWN, COLOURS)):
        points = [(row["step"], row[key]) for row in rows if key in row]
        if not points:
            continue
        most = max(value for _, value in points[len(points) // 50 :]) or 1.0
        line = " ".join(
            f"{20 + step / last * WIDTH:.0f},{top + 20 + HEIGHT * (1 - min(1.0, value / most)):.0f}"
            for step, value in points
        )
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        label = f"{key}: last {points[-1][1]:.3f}, top of the scale {most:.3f}"
        out.append(f'<text x="{WIDTH + 34}" y="{top + 40 + 16 * number}" font-size="11" fill="{colour}">{label}</text>')
    return "".join(out)


def main() -> None:
    """Draw."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("out", type=Path)
    options.add_argument("logs", type=Path, nargs="+")
    chosen = options.parse_args()
    panels = []
    for number, log in enumerate(chosen.logs):
        rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        panels.append(panel(log.stem, rows, number * (HEIGHT + GAP)))
    height = len(panels) * (HEIGHT + GAP)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 320}" height="{height}" font-family="sans-serif">'
    chosen.out.write_text(f'{head}<rect width="100%" height="100%" fill="white"/>{"".join(panels)}</svg>\n', "utf-8")


if __name__ == "__main__":
    main()
