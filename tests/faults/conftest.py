"""Tests of what the project promises under fire. `make faults` runs all of them and prints one table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from encoders.fault_points import VARIABLE
from tests.faults.arming import Faults
from tests.faults.table import FaultTable

_TABLE = FaultTable()


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """Fault points that this test may arm; seen by this process and all that it starts from now on."""
    found = Faults(tmp_path / "faults")
    monkeypatch.setenv(VARIABLE, str(found.folder))
    yield found
    found.clear()  # whoever still waits goes on


@pytest.fixture(scope="session")
def fault_table() -> FaultTable:
    """The table that is printed at the end: add a row for what you injected, and what came of it."""
    return _TABLE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _TABLE.lines():
        terminalreporter.write_line(line)
