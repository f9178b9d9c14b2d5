"""Runs over small text archives with the letters encoder: real Ray, real tables, real deaths."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import ray
from rich.console import Console

from encoders.failures import InterlaceError
from pipelines.batches import Forming
from pipelines.ledger import read_ledger
from pipelines.outcome import Outcome
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.runfiles import list_runs
from pipelines.settings import load_settings
from pipelines.storage import Storage
from pipelines.tables import read_table
from tests.pipelines.letters import LETTERS
from tests.pipelines.letters.config import LettersConfig


class LettersRun(Run):
    """A run whose only encoder is the letters encoder."""

    def __init__(self, tmp: Path, sources: list[str], out: str, **settings: Any) -> None:
        settings = load_settings(None, {"cluster.num_cpus": 2, **settings}, {}).settings
        quiet = Progress(Console(file=(tmp / "progress").open("a"), width=200))
        super().__init__(settings, sources, out, quiet, {"ocr": LETTERS})
        self.configs = {"ocr": LettersConfig(calls=tmp / "calls")}


def run(tmp: Path, source: str | Path, out: str | Path, **settings: Any) -> Outcome:
    return LettersRun(tmp, [str(source)], str(out), **settings).execute()


def rows(out: str | Path, table: str, *columns: str) -> list[dict[str, Any]]:
    return read_table(str(out), table).to_table(columns=list(columns) or None).to_pylist()


def calls(tmp: Path) -> list[str]:
    path = tmp / "calls"
    return path.read_text().splitlines() if path.exists() else []


def write_letters(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    for number in range(12):
        name = f"deep/{number}.txt" if number % 2 else f"{number}.txt"
        (folder / name).write_text(f"letter number {number}\n")
    return folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_letters(tmp_path / "archive")


@pytest.fixture(scope="module")
def lake(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A folder with an archive and, in ``out``, what a run made of it; not to be changed."""
    folder = tmp_path_factory.mktemp("lake")
    return folder, run(folder, write_letters(folder / "archive"), folder / "out")


pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_a_run_fills_the_tables_and_a_second_one_does_nothing(lake: tuple[Path, Outcome]) -> None:
    folder, first = lake
    out = folder / "out"
    assert first.ledger.balanced and not first.nothing_new
    assert {row["text"] for row in rows(out, "parts", "text")} == {f"letter number {n}" for n in range(12)}
    assert {row["status"] for row in rows(out, "assets", "status")} == {"ok"}
    second = run(folder, folder / "archive", out)
    assert second.nothing_new and second.ledger.balanced
    assert len(calls(folder)) == 12


def test_changed_and_new_assets_are_read_and_replace_their_rows(tmp_path: Path, archive: Path) -> None:
    out = tmp_path / "out"
    run(tmp_path, archive, out)
    (archive / "0.txt").write_text("another text, longer than before\n")
    (archive / "new.txt").write_text("one more\n")
    outcome = run(tmp_path, archive, out)
    assert outcome.ledger.balanced
    texts = [row["text"] for row in rows(out, "parts", "text")]
    assert len(texts) == 13 and "letter number 0" not in texts and "another text, longer than before" in texts
    assert len(calls(tmp_path)) == 14
    assert len(rows(out, "assets", "uri")) == 13


def test_a_part_that_kills_its_worker_is_set_aside_and_its_neighbours_are_read(tmp_path: Path, archive: Path) -> None:
    (archive / "6.txt").write_text("die\n")
    out = tmp_path / "out"
    outcome = run(tmp_path, archive, out)
    assert outcome.ledger.balanced
    assert outcome.ledger.categories == {"crashed": 1}
    status = {Path(row["uri"]).name: row["status"] for row in rows(out, "parts", "uri", "status")}
    assert status.pop("6.txt") == "failed" and set(status.values()) == {"ok"} and len(status) == 11
    assert calls(tmp_path).count(str(archive / "6.txt")) == 2


def test_a_run_in_which_every_part_fails_still_balances(tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "says-so.txt").write_text("fail\n")
    (folder / "raises.txt").write_text("raise\n")
    (folder / "empty.pdf").write_bytes(b"")
    (folder / "noise.bin").write_bytes(bytes(range(256)) * 8)
    outcome = run(tmp_path, folder, tmp_path / "out")
    assert outcome.ledger.balanced and outcome.ledger.failed_parts == 4
    assert set(outcome.ledger.categories) == {"corrupt", "empty", "unsupported", "model_failed"}
    assert {row["status"] for row in rows(tmp_path / "out", "assets", "status")} == {"failed"}


def test_removing_a_row_or_a_page_unbalances_the_ledger(tmp_path: Path, lake: tuple[Path, Outcome]) -> None:
    from deltalake import DeltaTable, write_deltalake

    from pipelines.tables import PARTS

    out = shutil.copytree(lake[0] / "out", tmp_path / "out")
    table = DeltaTable(out / "parts")
    good = table.to_pyarrow_table().cast(PARTS)
    for damaged in (good.slice(1), _without_a_page(good)):
        write_deltalake(out / "parts", damaged, mode="overwrite")
        assert not read_ledger(Storage(str(out))).balanced
    write_deltalake(out / "parts", good, mode="overwrite")
    assert read_ledger(Storage(str(out))).balanced


def _without_a_page(table: Any) -> Any:
    from pipelines.tables import PARTS, rows_to_table

    rows = table.to_pylist()
    rows[0]["pages"].pop()
    return rows_to_table(rows, PARTS)


def test_the_same_on_s3(tmp_path: Path, archive: Path, s3: str) -> None:
    from pipelines.sources import split_s3
    from pipelines.storage import s3_client

    bucket, _ = split_s3(s3)
    for path in archive.rglob("*.txt"):
        s3_client().upload_file(str(path), bucket, f"in/{path.relative_to(archive)}")
    first = run(tmp_path, f"{s3}/in", f"{s3}/lake")
    assert first.ledger.balanced
    assert len({row["text"] for row in rows(f"{s3}/lake", "parts", "text")}) == 12
    assert run(tmp_path, f"{s3}/in", f"{s3}/lake").nothing_new
    assert len(calls(tmp_path)) == 12


def test_batches_are_sized_by_the_cluster_that_is_joined(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not by the machine that submits the run, which may be a laptop."""
    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    for number in range(12, 40):
        (archive / f"{number}.txt").write_text(f"letter number {number}\n")
    many = {"cluster.num_cpus": 64}  # this machine's
    assert run(tmp_path, archive, tmp_path / "out", **many).ledger.balanced
    [files] = list_runs(Storage(str(tmp_path / "out")))
    batches = files.manifest(["batch"])["batch"].to_pylist()
    two, forty = (Forming(40.0, 12.5, actors).numbers([1.0] * 40) for actors in (2, 40))
    assert batches == two != forty
    [told] = [line for line in (tmp_path / "progress").read_text().splitlines() if "began to read" in line]
    assert re.search(r"node [\d.]+ began to read \d+\.\d s after the run began, \d+\.\d s to load ocr included", told)
    with pytest.raises(InterlaceError, match=r"do not fit.* have 2;.*cluster\.actors"):
        run(tmp_path, archive, tmp_path / "refused", **many, **{"cluster.actors.ocr": 3})
    assert not list_runs(Storage(str(tmp_path / "refused")))  # it was refused before anything was frozen


def test_a_source_that_is_not_there_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InterlaceError, match="does not exist"):
        run(tmp_path, tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "out" / "parts").exists()
    assert list((tmp_path / "out").rglob("*.parquet")) == []
