"""Fails when the tracked files pass 40 MiB: a machine with a GPU is handed the whole tree, and takes no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIMIT = 40 * 2**20


def tracked_bytes(root: Path) -> int:
    """Size of everything git tracks below ``root``."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True).stdout.split(b"\0")
    paths = [root / name.decode() for name in names if name]
    return sum(path.stat().st_size for path in paths if path.is_file())


if __name__ == "__main__":
    size = tracked_bytes(Path(__file__).resolve().parent.parent)
    print(f"tracked files: {size / 2**20:.1f} of {LIMIT / 2**20:.0f} MiB")
    sys.exit(size > LIMIT)
