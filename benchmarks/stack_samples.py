"""What running processes do, by py-spy where it is installed: ten seconds of samples, as shares by place."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WAYS: Mapping[str, tuple[str, ...]] = {
    "native": ("--native", "--threads"),  # what is on a core, down into libraries
    "gil": ("--gil", "--nonblocking"),  # who holds Python's lock
    "idle": ("--idle", "--nonblocking", "--threads"),  # all threads, waiting ones as well
}
_RATE = 50


def record(pids: Mapping[str, int], folder: Path, seconds: int = 10, ways: tuple[str, ...] = ("native",)) -> Any:
    """Samples of these processes at the same time, a file of stacks each in the folder; what was found by name and
    way. Empty without py-spy, and where it fails the reason stands in the place of what was found."""
    if not (program := shutil.which("py-spy")):
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {name: {} for name in pids}
    for way in ways:
        running = []
        for name, pid in pids.items():
            path = folder / f"{name.replace(' ', '-')}-{way}.txt"
            command = [program, "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(_RATE)]
            command += ["--format", "raw", "--output", str(path), *WAYS[way]]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            running.append((name, path, process))
        for name, path, process in running:
            try:
                said = process.communicate(timeout=seconds + 10)[1]
            except subprocess.TimeoutExpired:
                process.kill()
                said = "py-spy did not end"
            text = path.read_text(errors="replace") if path.exists() else ""
            found[name][way] = summary(text, seconds * _RATE) if text else said.strip()[-300:]
    return found


def summary(stacks: str, taken: int) -> dict[str, Any]:
    """Of raw stacks ("outer;...;inner count" a line): how many of ``taken`` samples there are, and the places that
    most of them are in, at the end of the stack and anywhere in it. 1.0 is one thread for the whole time."""
    inner: Counter[str] = Counter()
    within: Counter[str] = Counter()
    total = 0
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        if not count.isdigit():
            continue
        frames = [_place(frame) for frame in stack.split(";") if not frame.startswith(("thread (", "process "))]
        if not frames:
            continue
        total += int(count)
        inner[frames[-1]] += int(count)
        within.update(dict.fromkeys(frames, int(count)))

    def shares(counted: Counter[str], most: int) -> dict[str, float]:
        return {name: round(count / taken, 3) for name, count in counted.most_common(most)}

    return {"threads": round(total / taken, 3), "inner": shares(inner, 20), "within": shares(within, 40)}


def told(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each process and way: in how many threads it was, and the ends of stacks that it was in most."""
    lines = []
    for name, ways in found.items():
        for way, of in ways.items():
            if isinstance(of, str):
                lines.append(f"{name}, {way}: {of}")
                continue
            most = ", ".join(f"{place} {share}" for place, share in list(of["inner"].items())[:9])
            lines.append(f"{name}, {way}: {of['threads']} threads; {most}")
    return lines


def _place(frame: str) -> str:
    """Function and file; lines of one function are one place, and of a path its last two names are left."""
    function, _, rest = frame.partition(" (")
    file = re.sub(r":\d+$", "", rest.rstrip(")"))
    return f"{function[:80]} ({'/'.join(file.split('/')[-2:])})" if file else function[:80]
