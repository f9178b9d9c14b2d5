"""Where cores' seconds go: what is counted, by whom, and that nothing of it is left."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.core_seconds import CARD, CoreSeconds, cores_of
from benchmarks.stack_samples import summary

# What leaves its parent's session and is named like the process on a card, and a child that is nothing of the kind.
_WORK = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    os.execv(sys.executable, [sys.executable, "-c", "while True: pass", "encoders.card." + "server"])
print("begun", flush=True)
time.sleep(60)
"""


def test_core_seconds_are_told_by_kind_and_nothing_stays() -> None:
    cores = CoreSeconds()
    environment = cores.marked(os.environ)
    with subprocess.Popen([sys.executable, "-c", _WORK], stdout=subprocess.PIPE, env=environment) as work:
        assert work.stdout is not None
        work.stdout.readline()
        while not cores.alive(CARD):
            pass
        start = time.time()
        while (spent := cores.between(start, time.time())).get(CARD) is None or spent[CARD].seconds < 0.1:
            cores.look()
        stop = time.time()
        cores.end_all()
    found = cores_of(cores, start, stop, count=2)
    assert list(found["kinds"]) == [CARD, "others"]  # the busiest first
    of = found["kinds"][CARD]
    assert of["processes"] == 1 and abs(of["threads"]["main"] - of["each"]) < 0.02
    assert of["cores"] <= 1.2 and found["machine"] >= 0.1
    assert cores.alive(CARD) == [] and not cores.alive("others")


def test_stacks_become_shares_by_place() -> None:
    stacks = (
        "thread (1);run (a/b/c.py:3);inner (lib.so) 30\nthread (2);run (a/b/c.py:9);wait (x.py:1) 20\nbroken line\n"
    )
    found = summary(stacks, taken=50)
    assert found["threads"] == 1.0
    assert found["inner"] == {"inner (lib.so)": 0.6, "wait (x.py)": 0.4} and found["within"]["run (b/c.py)"] == 1.0
