"""What a user does with a lake afterwards: retry, prune, ask, compact. Each leaves exactly the rows that it should."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pymupdf
import pytest

from encoders.failures import InterlaceError
from pipelines.compact import compact
from pipelines.lease import Lease
from pipelines.ledger import read_ledger
from pipelines.passwords import Passwords
from pipelines.settings import UsageError
from pipelines.storage import Storage
from pipelines.tables import open_table, read_table
from tests.faults.arming import Faults
from tests.faults.drivers import Driver, InlineAsk, InlineRetry, Job
from tests.faults.lakes import assert_equal, lake_rows, parts_redone, write_archive
from tests.faults.table import FaultTable

PAGES = {"a.pdf": 5, "b.pdf": 1, "c.pdf": 2}


def rows(out: str, table: str, *columns: str) -> list[dict[str, Any]]:
    return read_table(out, table).to_table(columns=list(columns) or None).to_pylist()


def files_in(storage: Storage, table: str) -> int:
    found = open_table(storage, table)
    assert found is not None
    return len(found.file_uris())


def test_a_retried_part_is_read_alone_and_replaces_its_row(
    faults: Faults, tmp_path: Path, fault_table: FaultTable
) -> None:
    source, log = str(write_archive(tmp_path / "in", PAGES)), tmp_path / "log"
    whole, out = Job(source, str(tmp_path / "whole"), question="who?"), str(tmp_path / "out")
    whole.run(log)
    expected = lake_rows(whole.out)
    for category, error in (("out_of_memory", "MemoryError"), ("model_failed", "ValueError")):
        faults.clear()
        faults.arm("ocr.read", "raise", error, nth=2)
        job = Job(source, f"{out}-{category}", question="who?")
        assert job.run(log).ledger.categories == {category: 1}
        before = {row["part_id"]: row for row in rows(job.out, "parts")}
        [failed] = [row for row in before.values() if row["status"] == "failed"]
        assert [r["status"] for r in rows(job.out, "assets", "uri", "status") if r["uri"] == failed["uri"]] == [
            "partial"
        ]
        faults.clear()
        waiting = Job(None, job.out, InlineRetry, question="who?")
        assert waiting.run(log).nothing_new and "not due" in log.read_text()
        retried = Job(None, job.out, InlineRetry, question="who?", options={"now": True})
        assert not retried.run(log).nothing_new
        assert [hit.detail for hit in faults.log("ocr.read")] == [failed["part_id"]]
        assert_equal(expected, job.out)
        after = {row["part_id"]: row for row in rows(job.out, "parts")}
        assert after[failed["part_id"]]["attempts"] == 2
        assert {name: row for name, row in after.items() if row["run_id"] == failed["run_id"]} == {
            name: row for name, row in before.items() if name != failed["part_id"]
        }
        assert retried.run(log).nothing_new
        fault_table.measure("encoder raises, then retry", expected, job.out, parts_redone(faults))


def test_a_part_that_keeps_failing_is_left_after_its_last_attempt(faults: Faults, tmp_path: Path) -> None:
    source, log, out = str(write_archive(tmp_path / "in", {"a.pdf": 5})), tmp_path / "log", str(tmp_path / "out")
    faults.arm("ocr.read", "raise", "MemoryError", nth=2, times=99)
    Job(source, out).run(log)
    retried = Job(None, out, InlineRetry, options={"now": True, "max_attempts": 3})
    for attempt in (2, 3):
        retried.run(log)
        failed = [row for row in rows(out, "parts") if row["status"] == "failed"]
        assert [row["attempts"] for row in failed] == [attempt] * 2
        assert {failure["attempt"] for row in failed for failure in row["failures"]} == {attempt}
    assert retried.run(log).nothing_new and "failed 3 times" in log.read_text()
    assert read_ledger(Storage(out)).balanced


def test_a_locked_file_opens_with_the_password_file_and_the_password_is_nowhere(tmp_path: Path) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 1}), tmp_path / "log", str(tmp_path / "out")
    with pymupdf.open() as document:
        for _ in range(3):
            document.new_page()
        document.save(source / "locked.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="hush-hush")
    assert Job(str(source), out).run(log).ledger.categories == {"password_required": 1}
    assert Job(None, out, InlineRetry, options={"now": True}).run(log).nothing_new  # it would only fail again
    words = tmp_path / "passwords.tsv"
    words.write_text("# of the archive\n*/other.pdf\twrong\nlocked*\thush-hush\n")
    options = {"categories": ["password_required"], "now": True, "passwords": Passwords.read(words)}
    ended = Job(None, out, InlineRetry, options=options).run(log)
    assert ended.ledger.balanced and not ended.ledger.categories
    locked = [row for row in rows(out, "parts") if row["uri"].endswith("locked.pdf")]
    assert sorted(len(row["pages"]) for row in locked) == [1, 2] and {row["attempts"] for row in locked} == {2}
    assert subprocess.run(["grep", "-rl", "hush-hush", out, str(log)], capture_output=True).stdout == b""
    assert "hush" not in repr(options)
    assert Job(str(source), out).run(log).nothing_new


def test_prune_removes_the_rows_of_deleted_assets_and_no_others(tmp_path: Path) -> None:
    one, two = write_archive(tmp_path / "one", PAGES), write_archive(tmp_path / "two", {"d.pdf": 1})
    log, out = tmp_path / "log", str(tmp_path / "out")
    for source in (one, two):
        Job(str(source), out, question="who?").run(log)
    (one / "a.pdf").unlink()
    (two / "d.pdf").unlink()
    kept = Job(str(one), out, question="who?")
    assert kept.run(log).nothing_new
    pruned = Job(str(one), out, settings={"run.prune": True}, question="who?").run(log)
    assert pruned.ledger.balanced and pruned.ledger.accounts["assets"].listed == 3
    for table in ("assets", "parts", "answers"):
        assert {Path(row["uri"]).name for row in rows(out, table, "uri")} == {"b.pdf", "c.pdf", "d.pdf"}
    with pytest.raises(InterlaceError, match="nothing lies under"):
        Job(str(two), out, settings={"run.prune": True}).run(log)
    with pytest.raises(UsageError, match="whole listing"):
        Job(str(one), out, settings={"run.prune": True, "run.limit": 1}).run(log)
    assert len(rows(out, "assets", "uri")) == 3


def test_another_question_is_answered_though_the_archive_is_gone(faults: Faults, tmp_path: Path) -> None:
    source, log, out = write_archive(tmp_path / "in", PAGES), tmp_path / "log", str(tmp_path / "out")
    Job(str(source), out, question="who?").run(log)
    for path in source.iterdir():
        path.unlink()
    faults.clear()
    asked = Job(None, out, InlineAsk, question="when?")
    assert asked.run(log).ledger.balanced
    assert asked.run(log).nothing_new
    answers = rows(out, "answers", "uri", "answer_fingerprint")
    assert len(answers) == 6 and len({row["answer_fingerprint"] for row in answers}) == 2
    assert faults.log("*.read") == []
    with pytest.raises(UsageError, match="say what to ask"):
        Job(None, out, InlineAsk).run(log)


def test_compact_merges_files_and_keeps_what_an_unfinished_run_needs(
    faults: Faults, tmp_path: Path, fault_table: FaultTable
) -> None:
    source, log = write_archive(tmp_path / "in", PAGES), tmp_path / "log"
    job, storage = Job(str(source), str(tmp_path / "out"), question="who?"), Storage(str(tmp_path / "out"))
    job.run(log)
    write_archive(source, {"a.pdf": 3, "d.pdf": 4})
    undisturbed = Job(str(source), str(tmp_path / "undisturbed"), question="who?")
    undisturbed.run(log)
    faults.clear()
    arm = faults.arm("delta.committed", "kill", match="parts")
    killed = Driver(job, log, faults.environment)
    assert killed.wait() == -signal.SIGKILL
    arm.disarm()
    leftover = Path(job.out) / "parts" / "20200101T000000-abcdef" / "nobodys.parquet"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half a file")
    assert files_in(storage, "parts") > 1
    with Lease(storage, "compact") as lease:
        done = {item.table: item for item in compact(storage, lease, keep_hours=0)}
    assert files_in(storage, "parts") == files_in(storage, "answers") == 1 and done["parts"].deleted > 1
    assert not leftover.exists()
    before = lake_rows(job.out)
    assert job.run(log).ledger.balanced
    assert_equal(lake_rows(undisturbed.out), job.out)
    with Lease(storage, "compact") as lease:
        compact(storage, lease, keep_hours=0)
        assert all(item.files_after <= 1 for item in compact(storage, lease, keep_hours=0))
    assert_equal(lake_rows(undisturbed.out), job.out)
    assert before["parts"].total() <= lake_rows(job.out)["parts"].total()
    fault_table.measure("compact beside a killed run", lake_rows(undisturbed.out), job.out, parts_redone(faults))
