"""Fault points: named places at which a test makes the code die, fail or wait. Otherwise one look at the environment.

INTERLACE_FAULTS names a folder, shared by every process of one machine: the driver, Ray's workers (when it was set
before Ray started) and the children that open media. Each process that reaches a point notes it in FOLDER/log, then
does what the arms in FOLDER/arms ask of it. `tests/faults/arming.py` writes arms and reads the log.
"""

from __future__ import annotations

import builtins
import errno
import fnmatch
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

VARIABLE = "INTERLACE_FAULTS"


def fault_point(name: str, detail: str = "") -> None:
    """The place ``name`` is reached; ``detail`` says with what: a path, a table, the ids of parts."""
    folder = os.environ.get(VARIABLE)
    if folder:
        _reach(Path(folder), name, detail)


def _reach(folder: Path, name: str, detail: str) -> None:
    line = json.dumps({"name": name, "detail": detail, "pid": os.getpid(), "time": time.time()}) + "\n"
    descriptor = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())  # one write: lines of several processes do not mix
    finally:
        os.close(descriptor)
    for path in sorted((folder / "arms").glob("*.json")):
        try:
            arm = json.loads(path.read_text())
        except FileNotFoundError:  # disarmed meanwhile
            continue
        if not fnmatch.fnmatchcase(name, arm["name"]) or not fnmatch.fnmatchcase(detail, arm["match"]):
            continue
        ordinal = _ordinal(path.with_suffix(".hits"))
        if arm["nth"] <= ordinal < arm["nth"] + arm["times"]:
            _act(folder, path, arm)


def _ordinal(folder: Path) -> int:
    """How many processes have come by so far, this one included."""
    folder.mkdir(exist_ok=True)
    number = len(list(folder.iterdir())) + 1
    while True:
        try:
            os.close(os.open(folder / str(number), os.O_CREAT | os.O_EXCL, 0o600))
            return number
        except FileExistsError:
            number += 1


def _act(folder: Path, path: Path, arm: dict[str, Any]) -> None:
    victim = int((folder / "driver").read_text()) if arm["driver"] else os.getpid()
    action, argument = arm["action"], arm["argument"]
    if action in ("kill", "signal"):
        os.kill(victim, signal.SIGKILL if action == "kill" else getattr(signal, argument))
        if action == "kill" and victim != os.getpid():
            _wait(path)  # so that nothing of the step that follows happens before the victim is gone
    elif action == "wait":
        _wait(path)
    elif action == "raise":
        raise _exception(argument)
    else:
        raise ValueError(f"{path} asks for the unknown action {action}")


def _wait(path: Path) -> None:
    """Until the test lets go; whoever waits may be killed meanwhile."""
    while path.exists() and not path.with_suffix(".go").exists():
        time.sleep(0.01)


def _exception(argument: str) -> BaseException:
    number = getattr(errno, argument, None)
    if number is not None:
        return OSError(number, os.strerror(number))
    kind = getattr(builtins, argument)
    assert isinstance(kind, type) and issubclass(kind, BaseException), (
        f"{argument} is neither an errno nor an exception"
    )
    return kind(f"injected at a fault point: {argument}")
