"""The mechanism itself: arms act at the reach they name, in whatever process, and cost nothing when nobody armed."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys

import pytest

from encoders.fault_points import VARIABLE, fault_point
from tests.faults.arming import Faults

REACH = "import sys; from encoders.fault_points import fault_point; [fault_point('a.b', str(n)) for n in range(4)]"


def reach(faults: Faults) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", REACH], env=faults.environment)


def test_without_the_variable_nothing_happens(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    faults.arm("a.b", "kill")
    monkeypatch.delenv(VARIABLE)
    fault_point("a.b")
    assert faults.log() == []


def test_an_arm_acts_at_the_reach_it_names_over_all_processes(faults: Faults) -> None:
    arm = faults.arm("a.*", "kill", match="[13]", nth=3)
    assert reach(faults).wait(60) == 0
    assert reach(faults).wait(60) == -signal.SIGKILL
    assert arm.hits == 3
    assert [hit.detail for hit in faults.log("a.b")] == ["0", "1", "2", "3", "0", "1"]
    assert len({hit.pid for hit in faults.log()}) == 2


def test_errors_signals_and_waits(faults: Faults) -> None:
    faults.arm("disk", "raise", "ENOSPC")
    with pytest.raises(OSError, match="No space left") as caught:
        fault_point("disk")
    assert caught.value.errno == errno.ENOSPC
    fault_point("disk")  # once only
    faults.arm("memory", "raise", "MemoryError")
    with pytest.raises(MemoryError):
        fault_point("memory")
    arm = faults.arm("a.b", "wait", match="2")
    waiting = reach(faults)
    arm.wait()
    faults.set_driver(waiting.pid)
    faults.arm("other", "signal", "SIGTERM", driver=True)
    fault_point("other")
    assert waiting.wait(60) == -signal.SIGTERM
    gate = faults.arm("a.b", "wait", match="0")
    patient = reach(faults)
    gate.wait()
    assert patient.poll() is None
    gate.release()
    assert patient.wait(60) == 0
