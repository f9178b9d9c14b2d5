"""Which specialists a plain chat wakes, over written prompts: ``python -m benchmarks chat_routing``.

The files have the kind of file, what the prompt needs, and the prompt. `chat_prompts.tsv` was written when the rules
were made and before they had seen any of it, `chat_prompts_later.tsv` after the first file's misses were mended; then
misses of the second were, too. docs/endpoint.md has the first reading of each: those are the figures to expect of
prompts that nobody has seen. Printed are, by specialist, needed and woken, every prompt that lacks one, and what a
decision costs.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from decoder.protocol.routing import route_of

PROMPTS, LATER = (Path(__file__).with_name(f"chat_prompts{part}.tsv") for part in ("", "_later"))


def prompts(path: Path) -> list[tuple[str, frozenset[str], str]]:
    """(kind of file, tasks that are needed, prompt)."""
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    return [(kind, frozenset(needed.split(",")), text) for kind, needed, text in rows]


def woken(kind: str, text: str) -> frozenset[str]:
    """The specialists that a chat with such a file and these words wakes."""
    return frozenset(route_of(text).of(kind)) or frozenset({"ocr"})


def table(name: str, rows: list[tuple[frozenset[str], frozenset[str]]]) -> None:
    """Needed and woken, by specialist, and for whole prompts."""
    exact = sum(needed == got for needed, got in rows)
    enough = sum(needed <= got for needed, got in rows)
    print(f"{name}: {len(rows)} prompts, at least what they need {enough / len(rows):.3f}, exactly that", end=" ")
    needs, wakes = (sum(map(len, column)) for column in zip(*rows))
    print(f"{exact / len(rows):.3f}, {wakes} woken where {needs} are needed")
    for task in ("ocr", "object_detection", "gui_detection"):
        cells = Counter((task in needed, task in got) for needed, got in rows)
        print(
            f"  {task:17} needed and woken {cells[True, True]:3}  needed, not woken {cells[True, False]:3}  "
            f"woken without need {cells[False, True]:3}  neither {cells[False, False]:3}"
        )


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--prompts", type=Path, nargs="*", default=[PROMPTS, LATER])
    for path in options.parse_args().prompts:
        asked = prompts(path)
        routed = [(kind, needed, woken(kind, text), text) for kind, needed, text in asked]
        for name, kinds in (("all", ("image", "document")), ("images", ("image",)), ("documents", ("document",))):
            table(f"{path.stem}, {name}", [(needed, got) for kind, needed, got, _ in routed if kind in kinds])
        for _, needed, got, text in routed:
            if not needed <= got:
                print(f"  lacks {', '.join(sorted(needed - got))}: {text}")
        started = time.process_time()
        for _ in range(20):
            for _, _, text in asked:
                route_of(text)
        print(f"{(time.process_time() - started) / 20 / len(asked) * 1e3:.3f} ms of CPU a decision")


if __name__ == "__main__":
    main()
