"""Fuzz the opener for a while: python -m tests.faults.fuzz --cases 6000 --seconds 600 --first 0

Prints what came out, and for every problem the case that shows it; exit 1 when there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.faults.fuzz.check import Checker
from tests.faults.fuzz.mutate import mutated
from tests.faults.fuzz.seeds import NAMES, seeds

_local = threading.local()


def run_case(kind: str, number: int) -> dict[str, Any]:
    """One case in the children of this thread."""
    if not hasattr(_local, "checker"):
        _local.checker = Checker()
    checker: Checker = _local.checker
    before, children, started = checker.outcomes.copy(), checker.children.copy(), time.monotonic()
    problems = checker(mutated(kind, number), NAMES.get(kind, "file"))
    return {
        "case": (kind, number),
        "problems": problems,
        "outcomes": checker.outcomes - before,
        "children": checker.children - children,
        "seconds": time.monotonic() - started,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=6000, help="cases in all, shared out over the kinds")
    parser.add_argument("--seconds", type=float, default=600, help="stop after so long")
    parser.add_argument("--first", type=int, default=0, help="number of the first case of each kind")
    parser.add_argument("--kinds", help="only these, by comma")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=Path, help="a folder for the files of cases with problems")
    options = parser.parse_args()
    kinds = options.kinds.split(",") if options.kinds else sorted(seeds())
    cases = [(kind, options.first + n) for n in range(-(-options.cases // len(kinds))) for kind in kinds]
    outcomes, children, slow = Counter[str](), Counter[str](), []
    bad = done = 0
    started = time.monotonic()
    with ThreadPoolExecutor(options.workers) as pool:
        for start in range(0, len(cases), 200):
            if time.monotonic() - started > options.seconds:
                break
            for result in pool.map(run_case, *zip(*cases[start : start + 200])):
                done += 1
                outcomes += result["outcomes"]
                children += result["children"]
                if result["seconds"] > 3:
                    slow.append((round(result["seconds"], 1), *result["case"]))
                if result["children"]:
                    print("child", result["case"], dict(result["children"]), flush=True)
                if result["problems"]:
                    bad += 1
                    print("PROBLEM", result["case"], result["problems"][:3], flush=True)
                    if options.keep:
                        kind, number = result["case"]
                        options.keep.mkdir(parents=True, exist_ok=True)
                        (options.keep / f"{kind}-{number}").write_bytes(mutated(kind, number))
    summary = {"cases": done, "problems": bad, "seconds": round(time.monotonic() - started, 1), "outcomes": outcomes}
    print(json.dumps(summary | {"children": children, "slow": sorted(slow)[-10:]}))
    sys.stdout.flush()
    os._exit(1 if bad else 0)  # the children end with us


if __name__ == "__main__":
    main()
