"""Mutated files: thousands of them in `make faults` and `make fuzz`, a few here, and every one that found something."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.faults.fuzz.check import Checker, case_files
from tests.faults.fuzz.mutate import mutated
from tests.faults.fuzz.seeds import NAMES, seeds
from tests.faults.table import FaultTable


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    found = Checker()
    yield found
    found.close()


def test_the_seeds_themselves_open(checker: Checker) -> None:
    assert {kind: found for kind, data in seeds().items() if (found := checker(data, NAMES.get(kind, "file")))} == {}
    assert set(checker.outcomes) == {"opened"}


def test_a_few_mutations_of_every_kind(checker: Checker) -> None:
    cases = [(kind, number) for kind in sorted(seeds()) for number in range(6)]
    assert {case: found for case in cases if (found := checker(mutated(*case), NAMES.get(case[0], "file")))} == {}
    assert len(set(checker.outcomes)) >= 4  # not all of them open, not all are corrupt


def test_what_was_found_once_stays_mended(checker: Checker) -> None:
    assert case_files()
    assert {path.name: found for path in case_files() if (found := checker(path.read_bytes(), path.name))} == {}


@pytest.mark.full
def test_thousands_of_mutations(fault_table: FaultTable) -> None:
    command = [sys.executable, "-m", "tests.faults.fuzz", "--cases", "6000", "--seconds", "300"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    done = json.loads(ended.stdout.splitlines()[-1])
    fault_table.notes.append(f"{done['cases']} mutated files in {done['seconds']:.0f} s: {done['problems']} errors")
