"""The watch over a worker: it ends what stands still, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

WATCH = """
import re, sys, threading, time
from encoders.heartbeat import beat
from pipelines.stall import StallWatch

def slow_consumer(watch):
    with watch.over(tell):
        beat()
    time.sleep(5 * watch.seconds)  # a stage that waits for others is not at work

def slow_work(watch):
    with watch.over(tell):
        for _ in range(50):
            time.sleep(0.1 * watch.seconds)
            beat()

def stall(watch):
    with watch.over(tell):
        threading.Event().wait()

def hold(watch):
    with watch.over(tell):
        re.match(r"(a+)+$", "a" * 60 + "b")  # native code that keeps the interpreter's lock

def tell(seconds):
    print("told", flush=True)

globals()[sys.argv[1]](StallWatch(0.4))
print("done", flush=True)
"""


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("slow_consumer", 0, "done\n"),
        ("slow_work", 0, "done\n"),
        ("stall", -9, "told\n"),
        ("hold", 1, ""),
    ],
)
def test_only_what_stands_still_is_ended(what: str, code: int, said: str) -> None:
    ended = subprocess.run([sys.executable, "-c", WATCH, what], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (code, said), ended.stderr
    if code:
        assert "most recent call first" in ended.stderr  # where it stood
