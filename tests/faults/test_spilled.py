"""Runs, retries and questions whose every table is too large for memory leave what others leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import books, runfiles, shards, spill_file
from pipelines.ledger import read_ledger
from pipelines.runfiles import list_runs
from pipelines.storage import Storage
from tests.faults.drivers import InlineAsk, InlineRetry, Job
from tests.faults.lakes import assert_equal, lake_rows, write_archive


@pytest.fixture
def nothing_fits(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(spill_file, "MEMORY", 300)
    monkeypatch.setattr(shards, "BITS", 3)
    monkeypatch.setattr(books, "FOLDED", 0)
    monkeypatch.setattr(runfiles, "FEW_ASSETS", 0)
    return monkeypatch


@pytest.mark.full
def test_what_does_not_fit_in_memory_ends_the_same(nothing_fits: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, log = tmp_path / "in", tmp_path / "log"
    outs = {"spilled": str(tmp_path / "spilled"), "held": str(tmp_path / "held")}

    def both(kind: type | None = None, **more: object) -> None:
        for name, out in outs.items():
            with nothing_fits.context() as here:
                if name == "held":
                    here.setattr(spill_file, "MEMORY", 1 << 30)
                job = Job(str(source), out, **more) if kind is None else Job(None, out, kind, **more)  # type: ignore
                assert job.run(log).ledger.balanced
        assert_equal(lake_rows(outs["held"]), outs["spilled"])

    write_archive(source, {"a.pdf": 5, "b.pdf": 1, "c.pdf": 4, "empty.pdf": 0})
    both(question="who?")
    (source / "b.pdf").unlink()
    write_archive(source, {"a.pdf": 3, "d.pdf": 2, "empty-too.pdf": 0})
    both(question="who?", settings={"run.prune": True})
    both(InlineAsk, question="what?")
    write_archive(source, {"empty.pdf": 1})
    both(InlineRetry, options={"categories": ["empty"], "now": True})
    ledgers = []
    for memory in (300, 1 << 30):
        nothing_fits.setattr(spill_file, "MEMORY", memory)
        ledgers.append(read_ledger(Storage(outs["spilled"])))
    assert ledgers[0] == ledgers[1] and len(list_runs(Storage(outs["spilled"]))) == 4
