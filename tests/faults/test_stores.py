"""One contract for every store: a folder, an S3 server, and an S3 server that refuses, stalls, cuts off, and does what
it was asked for without saying so. The results are the same."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.lease import Lease, LeaseHeld
from pipelines.row_file import RowFile
from pipelines.runfiles import RunFiles
from pipelines.storage import Storage, s3_client
from pipelines.tables import ANSWERS, PARTS, rows_to_table
from pipelines.transactions import URIS, Stale, commit_once
from tests.faults.arming import Faults
from tests.faults.bad_proxy import MODES, bad_proxy
from tests.faults.drivers import Driver, Job
from tests.faults.lakes import Rows, assert_equal, lake_rows, parts_redone, write_archive
from tests.faults.table import FaultTable

PAGES = {"a.pdf": 3, "b.pdf": 1, "empty.pdf": 0}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Rows]:
    folder = tmp_path_factory.mktemp("undisturbed")
    source = str(write_archive(folder / "in", PAGES))
    Job(source, str(folder / "out"), question="who?").run(folder / "log")
    return source, lake_rows(folder / "out")


@pytest.fixture(
    params=[
        "folder",
        "lost reply",  # an S3 server that does all it is asked for, and does not always say so
        *(pytest.param(m, marks=pytest.mark.full) for m in ("S3", *MODES) if m != "lost reply"),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "folder":
        yield Storage(str(tmp_path / "out"))
        return
    endpoint = request.getfixturevalue("s3_server")
    bucket = request.getfixturevalue("s3")
    with bad_proxy(endpoint, request.param if request.param in MODES else None) as proxy:
        os.environ["AWS_ENDPOINT_URL"] = proxy.endpoint
        s3_client.cache_clear()
        try:
            yield Storage(f"{bucket}/out")
            assert request.param == "S3" or proxy.injected > 0
        finally:
            os.environ["AWS_ENDPOINT_URL"] = endpoint
            s3_client.cache_clear()


def test_files(store: Storage) -> None:
    path, missing = store.path("folder", "a b.json"), store.path("folder", "missing.json")
    for value in ({"n": 1}, {"n": 2}):
        store.write_json(path, value)
        assert store.read_json(path) == value
    assert store.read_json(missing) is None and not store.exists(missing)
    assert list(store.files(store.path("nowhere"))) == []
    assert list(store.files(store.path("folder"), ".json")) == [path]
    deep = store.path("folder", "deep", "deeper", "c.json")
    store.write_json(deep, 1)
    assert store.folders(store.path("folder")) == ["deep"] and store.folders(store.path("nowhere")) == []
    for _ in range(2):
        store.delete_folder(store.path("folder", "deep"))
    assert not store.exists(deep) and store.folders(store.path("folder")) == []
    store.delete(missing)
    store.delete(path)
    assert not store.exists(path) and list(store.files(store.path("folder"), ".json")) == []


def test_of_all_who_create_a_file_one_does(store: Storage) -> None:
    for number in range(3):
        path = store.path("once", f"{number}.json")
        with ThreadPoolExecutor(6) as pool:
            bodies = [uuid.uuid4().hex for _ in range(6)]
            created = list(pool.map(lambda body, path=path: store.create_json(path, body), bodies))
        assert created.count(True) == 1
        assert store.read_json(path) == bodies[created.index(True)]


def test_a_lease_has_one_holder(store: Storage) -> None:
    for token in (1, 2):
        with Lease(store, "first") as lease:
            assert lease.token == token
            with pytest.raises(LeaseHeld, match="interlace first"), Lease(store, "second"):
                pass


def test_a_commit_happens_once(store: Storage) -> None:
    files = RunFiles(store, "run")
    row = {"uri": "u", "etag": "e", "status": "ok", "failures": [], "run_id": "run"}
    with Lease(store, "test") as lease:
        for version in (1, 2, 3):
            rows = rows_to_table([row | {"part_id": f"part {version}"}], PARTS)
            record = files.commit({"parts": rows, "answers": ANSWERS.empty_table()})
            assert files.commit({"parts": rows, "answers": ANSWERS.empty_table()}) == record
            for _ in range(2):
                stale = Stale(RowFile(URIS), frozenset(), "run")
                commit_once(store, "parts", "run", version, lease, record.files, stale)
    assert lake_rows(store.out)["parts"].total() == 3


@pytest.mark.full
def test_a_whole_run(
    store: Storage, undisturbed: tuple[str, Rows], faults: Faults, tmp_path: Path, fault_table: FaultTable
) -> None:
    source, expected = undisturbed
    driver = Driver(Job(source, store.out, question="who?"), tmp_path / "log", faults.environment)
    assert driver.wait() == 0, driver.text
    assert_equal(expected, store.out)
    fault_table.measure("stores that misbehave", expected, store.out, parts_redone(faults))


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("revoked", "ACCESS_DENIED|AccessDenied"),
        pytest.param("vanished", "NO_SUCH_BUCKET|NoSuchBucket", marks=pytest.mark.full),
    ],
)
def test_a_store_that_is_lost_in_mid_run(
    mode: str,
    told: str,
    s3_server: str,
    s3: str,
    undisturbed: tuple[str, Rows],
    faults: Faults,
    tmp_path: Path,
    fault_table: FaultTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, expected = undisturbed
    job = Job(source, f"{s3}/out", question="who?")
    with bad_proxy(s3_server, None, every=1) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        gate = faults.arm("storage.write", "wait", match="parts/*", nth=2)
        driver = Driver(job, tmp_path / "log", faults.environment)
        gate.wait()
        proxy.mode = mode
        gate.release()
        assert driver.wait() == 2, driver.text
        assert re.search(told, driver.text) and "the same command resumes" in driver.text
        assert "Traceback" not in driver.text
        proxy.mode = None
        found = lake_rows(job.out)
        assert all(found[name] <= expected[name] for name in expected)
        again = Driver(job, tmp_path / "again", faults.environment)
        assert again.wait() == 0, again.text
        assert_equal(expected, job.out)
        fault_table.measure(f"store {mode} in mid-run", expected, job.out, parts_redone(faults))
