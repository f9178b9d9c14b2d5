"""Upkeep in an unlucky order: beside an unfinished run, of sources that are gone, of assets that became others."""

from __future__ import annotations

import os
import signal
import threading
import wave
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pyarrow as pa
import pytest
from psutil import _pslinux

from encoders.failures import InterlaceError
from pipelines.changes import compare
from pipelines.compact import compact
from pipelines.known import known_assets
from pipelines.lease import Lease, LeaseHeld
from pipelines.ledger import read_ledger
from pipelines.manifest import LISTING, MANIFEST, Manifest
from pipelines.prune import deleted_rows
from pipelines.publish import publish
from pipelines.records import read_records
from pipelines.retry import last_settings
from pipelines.row_file import RowFile
from pipelines.runfiles import RunFiles, list_runs
from pipelines.sources import list_assets
from pipelines.storage import Storage, StorageError, local_path, s3_client
from pipelines.tables import ANSWERS, PARTS, read_table, rows_to_table
from tests.faults.arming import Faults
from tests.faults.drivers import Driver, InlineAsk, InlineRetry, Job
from tests.faults.lakes import assert_equal, lake_rows, write_archive
from tests.pipelines.small_lake import asset, part, publish_lake


def rows(out: str, table: str, *columns: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_table(out, table).to_table(columns=list(columns) or None).to_pylist()
    return found


def test_a_question_beside_a_run_that_died_while_it_asked_the_same_is_answered_once(
    faults: Faults, tmp_path: Path
) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 5, "b.pdf": 1}), tmp_path / "log", str(tmp_path / "out")
    Job(str(source), out).run(log)
    asked = Job(str(source), out, question="who?")
    arm = faults.arm("storage.created", "kill", match="*/commits/*", nth=2)
    assert Driver(asked, log, faults.environment).wait() == -signal.SIGKILL
    arm.disarm()
    assert Job(None, out, InlineAsk, question="who?").run(log).ledger.balanced
    asked.run(log)
    assert Counter(row["uri"] for row in rows(out, "answers")).total() == 2


def test_a_retry_that_died_does_not_undo_what_a_later_one_read(faults: Faults, tmp_path: Path) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 3}), tmp_path / "log", str(tmp_path / "out")
    whole = Job(str(source), str(tmp_path / "whole"))
    whole.run(log)
    faults.arm("ocr.read", "raise", "MemoryError", nth=1)
    Job(str(source), out).run(log)
    faults.clear()
    faults.arm("ocr.read", "raise", "MemoryError", nth=1)
    faults.arm("storage.write", "kill", match="assets/*")
    retry = Job(None, out, InlineRetry, options={"now": True})
    assert Driver(retry, log, faults.environment).wait() == -signal.SIGKILL
    faults.clear()
    other = Job(None, out, InlineRetry, options={"now": True, "categories": ["out_of_memory"]})
    other.run(log)
    assert_equal(lake_rows(whole.out), out)
    retry.run(log)
    assert_equal(lake_rows(whole.out), out)


def test_a_retry_beside_an_unfinished_run_leaves_a_ledger_that_balances(faults: Faults, tmp_path: Path) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 5, "b.pdf": 1}), tmp_path / "log", str(tmp_path / "out")
    faults.arm("ocr.read", "raise", "MemoryError", nth=2)
    job = Job(str(source), out)
    job.run(log)
    faults.clear()
    write_archive(source, {"a.pdf": 7})
    faults.arm("ocr.read", "kill", nth=1)
    assert Driver(job, log, faults.environment).wait() == -signal.SIGKILL
    faults.clear()
    assert Job(None, out, InlineRetry, options={"now": True}).run(log).ledger.balanced
    ended = job.run(log).ledger
    assert ended.balanced, ended.complaints
    fresh = Job(str(source), str(tmp_path / "fresh"))
    fresh.run(log)
    assert_equal(lake_rows(fresh.out), out)


def write_sound(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(bytes(32_000))


def test_an_asset_that_became_one_that_nothing_reads_leaves_no_rows(faults: Faults, tmp_path: Path) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 5, "b.pdf": 1}), tmp_path / "log", str(tmp_path / "out")
    job = Job(str(source), out, question="who?")
    job.run(log)
    write_sound(source / "a.pdf")
    faults.clear()
    ended = job.run(log).ledger
    assert ended.balanced, ended.complaints
    for table in ("assets", "parts", "answers"):
        assert {Path(row["uri"]).name for row in rows(out, table, "uri")} == {"b.pdf"}
    assert job.run(log).nothing_new


def test_a_retry_of_what_is_gone_keeps_what_was_read(tmp_path: Path) -> None:
    uri, storage = "/gone.pdf", Storage(str(tmp_path))
    pages = [{"page": 1, "text": "the only copy"}]
    crashed = {"category": "crashed", "stage": "ocr", "message": "page 2", "page": 2, "attempt": 1}
    told = {"status": "partial", "failures": [crashed], "pages": pages, "attempts": 1}
    before = part(uri, "document", "application/pdf", 0, **told)
    answer = {"uri": uri, "etag": "e1", "answer": "it is", "run_id": "run-1"}
    other = part("/other.pdf", "document", "application/pdf", 0, status="failed", failures=[crashed], attempts=1)
    assets = [asset(row["uri"], "document", "application/pdf", pages=2) for row in (before, other)]
    publish_lake(tmp_path, {"assets": assets, "parts": [before, other], "answers": [answer]})
    files = RunFiles(storage, "run-2")
    listing = [row | {"state": "retried", "replaces": False, "seconds": 0.0} for row in assets]
    files.freeze(Manifest(rows_to_table(listing, LISTING), rows_to_table([before, other], MANIFEST)))
    files.write_state({"run_id": "run-2", "verb": "retry"})
    missing = {"category": "download_failed", "stage": "download", "message": "no such file", "attempt": 2}
    again = [row | {"pages": None, "status": "failed", "attempts": 2, "failures": [missing]} for row in (before, other)]
    parts = rows_to_table([row | {"run_id": "run-2"} for row in again], PARTS)
    files.commit({"parts": parts, "answers": ANSWERS.empty_table()})
    with Lease(storage, "test") as lease:
        publish(files, lease)
    found = {row["uri"]: row for row in rows(str(tmp_path), "parts")}
    assert [page["text"] for page in found[uri]["pages"]] == ["the only copy"]
    assert (found[uri]["status"], found[uri]["attempts"], found[uri]["run_id"]) == ("partial", 2, "run-2")
    assert [failure["category"] for failure in found[uri]["failures"]] == ["crashed", "download_failed"]
    assert [failure["category"] for failure in found["/other.pdf"]["failures"]] == ["download_failed"]
    assert {row["uri"]: row["status"] for row in rows(str(tmp_path), "assets")} == {
        uri: "partial",
        "/other.pdf": "failed",
    }
    assert len(rows(str(tmp_path), "answers")) == 1


def test_prune_by_a_glob_keeps_what_the_glob_would_not_list(tmp_path: Path) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 1, "b.pdf": 1}), tmp_path / "log", str(tmp_path / "out")
    write_archive(source / "deep", {"c.pdf": 1})
    Job(str(source), out).run(log)
    (source / "a.pdf").unlink()
    Job(f"{source}/*.pdf", out, settings={"run.prune": True}).run(log)
    assert {Path(row["uri"]).name for row in rows(out, "assets", "uri")} == {"b.pdf", "c.pdf"}


def test_a_folder_that_cannot_be_listed_ends_a_prune_instead_of_passing_for_an_empty_one(tmp_path: Path) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 1}), tmp_path / "log", str(tmp_path / "out")
    Job(str(source), out).run(log)
    deep = os.open(source, os.O_RDONLY)
    for _ in range(18):  # 18 x 240 bytes: a path too long to be opened, for root as well
        os.mkdir("d" * 240, dir_fd=deep)
        inner = os.open("d" * 240, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    os.close(deep)
    with pytest.raises(InterlaceError, match=r"cannot list .*File name too long"):
        Job(str(source), out, settings={"run.prune": True}).run(log)
    assert len(rows(out, "assets", "uri")) == 1


def test_out_may_have_signs_that_urls_write_otherwise(tmp_path: Path) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 3}), tmp_path / "log", str(tmp_path / "é #1? [a] b")
    job = Job(str(source), out, question="who?")
    assert job.run(log).ledger.balanced
    assert job.run(log).nothing_new
    with Lease(Storage(out), "compact") as lease:
        compact(Storage(out), lease, keep_hours=0)
    assert job.run(log).nothing_new
    with pytest.raises(InterlaceError, match="% code"):
        Job(str(source), str(tmp_path / "100%25")).run(log)


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    source = write_archive(tmp_path / "in", {"a.pdf": 3})
    Path(os.fsdecode(os.fsencode(source) + b"/\xff.pdf")).write_bytes(b"")
    with pytest.raises(InterlaceError, match="is not UTF-8"):
        Job(str(source), str(tmp_path / "out")).run(tmp_path / "log")


def test_a_clock_that_is_set_does_not_make_a_live_holder_look_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, boot = Storage(str(tmp_path)), psutil.boot_time()
    with Lease(storage, "run"):
        monkeypatch.setattr(_pslinux, "boot_time", lambda: boot + 1)  # what the kernel then says
        with pytest.raises(LeaseHeld), Lease(storage, "other"):
            pass


def test_a_conditional_put_that_met_another_one_under_way_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    class Store(BaseHTTPRequestHandler):
        """S3 says 409 while another conditional put of the same key is under way; that one then fails."""

        protocol_version = "HTTP/1.1"
        puts: ClassVar[list[str]] = []

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.puts.append(self.path)
            self.send_response(409 if len(self.puts) == 1 else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Not to the console."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {"ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "ACCESS_KEY_ID": "a"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    s3_client.cache_clear()
    try:
        assert Storage("s3://bucket/out").write_if_absent("bucket/out/key", b"data")
        assert len(Store.puts) == 2
    finally:
        s3_client.cache_clear()
        server.shutdown()
        server.server_close()


def test_prune_does_not_take_one_of_two_sources_that_is_not_mounted_for_deleted(tmp_path: Path) -> None:
    one, two = write_archive(tmp_path / "one", {"a.pdf": 1}), write_archive(tmp_path / "two", {"b.pdf": 1, "c.pdf": 1})
    log, out = tmp_path / "log", str(tmp_path / "out")
    for source in (one, two):
        Job(str(source), out).run(log)
    (two / "b.pdf").unlink()
    assert {row["uri"] for row in deleted(out, one, two)} == {f"{two}/b.pdf"}
    (two / "c.pdf").unlink()
    with pytest.raises(InterlaceError, match=r"nothing lies under .*two"):
        deleted(out, one, two)


def deleted(out: str, *sources: Path) -> list[dict[str, Any]]:
    names = [str(source) for source in sources]
    listing = RowFile(LISTING, [rows_to_table([{"uri": found.uri} for found in list_assets(names)], LISTING)])
    gone: list[dict[str, Any]] = deleted_rows(Storage(out), names, listing).table().to_pylist()
    return gone


def test_a_source_has_one_name_wherever_the_command_is_run_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 1}), tmp_path / "log", str(tmp_path / "in" / "lake")
    Job(str(source), out).run(log)
    (tmp_path / "beside").mkdir()
    monkeypatch.chdir(tmp_path / "beside")
    for same in ("../in", "../in/*.pdf", f"file://{source}/../in"):
        assert Job(same, "../in/lake").run(log).nothing_new
    assert len(rows(out, "assets", "uri")) == 1
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "in" / "deep").mkdir()
    (tmp_path / "deep-link").symlink_to(source / "deep")
    assert local_path("../deep-link/../a.pdf") == source / "a.pdf"  # as the system reads it
    assert local_path("../link/a.pdf") == tmp_path / "link" / "a.pdf"


def test_a_data_file_that_cannot_be_read_is_told_in_one_sentence(tmp_path: Path) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 1}), tmp_path / "log", str(tmp_path / "out")
    job = Job(str(source), out)
    job.run(log)
    for table, read in (("parts", lambda: read_ledger(Storage(out))), ("assets", lambda: job.run(log))):
        [file] = (Path(out) / table).glob("*/*.parquet")
        data = file.read_bytes()
        for broken in (None, b"not Parquet"):
            file.unlink() if broken is None else file.write_bytes(broken)
            with pytest.raises(StorageError, match=f"cannot read .*/{table}"):
                read()
            with pytest.raises(StorageError, match=f"cannot read .*/{table}"):
                list(read_records(out))
        file.write_bytes(data)
    assert job.run(log).nothing_new


def test_a_signal_in_the_last_publish_changes_nothing(faults: Faults, tmp_path: Path) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 5}), tmp_path / "log", str(tmp_path / "out")
    faults.arm("delta.committed", "signal", "SIGINT", match="answers", nth=2)  # of an asset of several parts
    job = Job(str(source), out, question="who?")
    ended = job.run(log)
    assert ended.ledger.balanced and not ended.interrupted and len(rows(out, "answers")) == 1
    assert job.run(log).nothing_new


def test_what_had_no_encoder_before_is_not_announced_as_read_again(tmp_path: Path) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 1}), tmp_path / "log", str(tmp_path / "out")
    write_sound(source / "b.wav")
    Job(str(source), out).run(log)
    found = list(list_assets([str(source)]))
    table = pa.table({name: [getattr(asset, name) for asset in found] for name in ("uri", "etag")})
    known = pa.concat_tables(known_assets(Storage(out), list_runs(Storage(out))))
    today = {"document": known["perception_fingerprint"][0].as_py(), "audio": "whisper"}
    assert compare(table, known, today)["state"].to_pylist() == ["unchanged", "unread"]
    assert compare(table, known, {"document": "other"})["state"].to_pylist() == ["reread", "unchanged"]


def test_a_retry_finds_the_schema_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 1}), tmp_path / "log", str(tmp_path / "out")
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    monkeypatch.chdir(tmp_path)
    Job(str(source), out, settings={"run.answer_schema": "schema.json"}, question="who?").run(log)
    monkeypatch.chdir("/")
    settings = last_settings(Storage(out))
    assert settings["run.answer_schema"] == str(tmp_path / "schema.json")
    assert Job(None, out, InlineRetry, settings=settings).run(log).nothing_new


def test_compact_removes_what_ended_runs_do_not_need_and_the_ledger_reads_the_same(
    faults: Faults, tmp_path: Path
) -> None:
    source, log, out = write_archive(tmp_path / "in", {"a.pdf": 5}), tmp_path / "log", str(tmp_path / "out")
    write_sound(source / "unread.wav")
    job, storage = Job(str(source), out), Storage(out)
    for more in ({}, {}, {"b.pdf": 1}, {}, {}, {}):
        write_archive(source, more)
        job.run(log)
    before, runs = read_ledger(storage), list_runs(storage)
    (tmp_path / "out/_interlace/runs/20200101T000000-abcdef/commits").mkdir(parents=True)
    (tmp_path / "out/_interlace/runs/20200101T000000-abcdef/listing.parquet").write_bytes(b"cut")
    compacted(out, 1)  # all of it is younger
    assert len(list_runs(storage)) == len(runs) == 6
    faults.arm("storage.delete", "raise", "EIO", match="_interlace/runs/*", nth=4)
    with pytest.raises(StorageError, match="Input/output error"):
        compacted(out, 0)  # a run that is half removed
    assert read_ledger(storage) == before
    compacted(out, 0)
    assert read_ledger(storage) == before
    left = [runs[0].run_id, runs[2].run_id, runs[5].run_id]
    assert [files.run_id for files in list_runs(storage)] == left == storage.folders(storage.path("_interlace", "runs"))
    assert [files.run_id for files in list_runs(storage) if any(files.commits())] == [runs[2].run_id]
    assert storage.folders(storage.path("_interlace", "journal")) == []
    faults.clear()
    assert job.run(log).nothing_new and faults.log("*.read") == []
    write_archive(source, {"a.pdf": 3})
    assert job.run(log).ledger.balanced
    fresh = Job(str(source), str(tmp_path / "fresh"))
    fresh.run(log)
    assert_equal(lake_rows(fresh.out), out)


def compacted(out: str, keep_hours: float) -> None:
    with Lease(Storage(out), "compact") as lease:
        compact(Storage(out), lease, keep_hours=keep_hours)
