"""What a process keeps of its memory."""

from __future__ import annotations

import subprocess
import sys

COUNTED = """
import gc, resource
from encoders.memory import collect_seldom, keep_memory
collect_seldom()
keep_memory()
pages = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
made = [bytearray(b"x") * 6_000_000 for _ in range(2)]
made.clear()
before = pages()
for _ in range(10):
    bytearray(b"x") * 6_000_000
print(pages() - before, gc.get_freeze_count(), gc.get_threshold()[0])
"""


def test_pixels_of_one_page_are_memory_for_the_next() -> None:
    said = subprocess.run([sys.executable, "-c", COUNTED], check=True, capture_output=True, text=True).stdout
    faults, frozen, threshold = map(int, said.split())
    assert faults < 1_000  # of 15,000 that ten blocks of it are
    assert frozen > 1_000 and threshold > 10_000
