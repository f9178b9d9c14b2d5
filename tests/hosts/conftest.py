"""Tests on several hosts. `make cluster-test` runs them and prints one table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.table import FaultTable
from tests.hosts.cluster import RayHosts, ray_hosts
from tests.hosts.network import NOT_SHOWN

_TABLE = FaultTable()


@pytest.fixture(scope="session")
def fault_table() -> FaultTable:
    """The table that is printed at the end: what was injected, and what came of it."""
    return _TABLE


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory, fault_table: FaultTable) -> Iterator[RayHosts]:
    """A head, two workers and an S3 server; tests that take a worker away put another one there."""
    with ray_hosts(tmp_path_factory.mktemp("hosts"), 2, fault_table.notes) as found:
        if not found.network.real:
            fault_table.notes.append(NOT_SHOWN)
        yield found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _TABLE.lines() if _TABLE.rows else _TABLE.notes:
        terminalreporter.write_line(line)
