"""The poison set through the whole pipeline on S3: each file gets what is coming to it, no neighbour suffers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from encoders.media.config import OpeningLimits
from pipelines.cli import app
from pipelines.outcome import Outcome
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings
from pipelines.sources import split_s3
from pipelines.storage import s3_client
from pipelines.tables import read_table
from tests.faults.openings import OPENINGS
from tests.faults.openings.config import OpeningsConfig
from tests.faults.poison import Poison, good, poison
from tests.faults.table import FaultRow, FaultTable

NEIGHBOURS = 40
CPU_SECONDS = 10.0  # of one part; unlike a limit on wall time it does not depend on who else is at work here
LIMITS = {"ocr.limits.cpu_seconds": CPU_SECONDS, "speech_to_text.limits.cpu_seconds": CPU_SECONDS}

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Poison]:
    return [*poison(tmp_path_factory.mktemp("poison")), *(good(number) for number in range(NEIGHBOURS))]


def upload(s3: str, files: list[Poison]) -> None:
    bucket, _ = split_s3(s3)
    for file in files:
        s3_client().put_object(Bucket=bucket, Key=f"in/{file.key}", Body=file.data)


def run(tmp_path: Path, s3: str, entries: dict[str, Any] | None = None, **configs: Any) -> Outcome:
    settings = load_settings(None, {"cluster.num_cpus": 2, **LIMITS}, {}).settings
    quiet = Progress(Console(file=(tmp_path / "progress").open("a"), width=200))
    job = Run(settings, [f"{s3}/in"], f"{s3}/lake", quiet, entries)
    job.configs.update(configs)
    return job.execute()


def check(s3: str, files: list[Poison], outcome: Outcome) -> None:
    """Every file once, with no failure but those expected of it, its text and all of its pages."""
    assert outcome.ledger.balanced
    columns = ["uri", "status", "text", "pages", "failures"]
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in read_table(f"{s3}/lake", "parts").to_table(columns=columns).to_pylist():
        rows.setdefault(row["uri"].removeprefix(f"{s3}/in/"), []).append(row)
    assert set(rows) == {file.key for file in files}
    wrong = {file.key: found for file in files if (found := _wrong(file, rows[file.key]))}
    assert wrong == {}


def _wrong(file: Poison, rows: list[dict[str, Any]]) -> list[str]:
    failures = [failure for row in rows for failure in row["failures"]]
    found = {failure["category"] for failure in failures} or {"ok"}
    expected = {file.expected} if isinstance(file.expected, str) else set(file.expected)
    problems = [] if found <= expected else [f"{found}, expected {expected}: {failures[:2]}"]
    if "ok" in found and any(row["status"] != "ok" for row in rows):
        problems.append(f"status {Counter(row['status'] for row in rows)}")
    if file.text is not None and not any(file.text in row["text"] for row in rows):
        problems.append(f"text {rows[0]['text'][:100]!r}")
    pages = sum(len(row["pages"] or ()) for row in rows) + sum(f["page"] is not None for f in failures)
    if file.pages is not None and pages != file.pages:
        problems.append(f"{pages} pages, expected {file.pages}")
    return problems


@pytest.mark.full
def test_every_poison_gets_its_category_and_no_neighbour_suffers(
    tmp_path: Path, s3: str, files: list[Poison], fault_table: FaultTable
) -> None:
    assert len(files) - NEIGHBOURS >= 25
    upload(s3, files)
    config = OpeningsConfig(limits=OpeningLimits(cpu_seconds=CPU_SECONDS))
    outcome = run(tmp_path, s3, {"ocr": OPENINGS}, ocr=config)
    check(s3, files, outcome)
    parts = int(outcome.ledger.accounts["parts"].listed)
    fault_table.add(FaultRow("poison file", len(files) - NEIGHBOURS, parts, 0, 0, 0))
    _commands_bear_the_names(tmp_path, s3)


def _commands_bear_the_names(tmp_path: Path, s3: str) -> None:
    """Keys with markup, newlines, quotes and dots break no command and escape no folder."""
    runner = CliRunner()
    text, report = tmp_path / "text", tmp_path / "report.html"
    for command in (
        ["status", f"{s3}/lake"],
        ["search", f"{s3}/lake", "named"],
        ["export", f"{s3}/lake", "--markdown", str(text)],
        ["report", f"{s3}/lake", "--html", str(report)],
    ):
        result = runner.invoke(app, command)
        assert result.exit_code == 0, f"{command}: {result.output} {result.exception!r}"
    assert "<script>alert(1)" not in report.read_text()
    assert any("named" in path.read_text() for path in text.rglob("*.md"))


@pytest.mark.full
def test_the_encoders_themselves_take_the_poison(
    tmp_path: Path, s3: str, files: list[Poison], fault_table: FaultTable
) -> None:
    """All but ten thousand pages, and the crash that only the openings' own child can be told to have."""
    small = [file for file in files if file.key != "pdf/crash-segfault@2" and (file.pages or 0) < 100]
    upload(s3, small)
    outcome = run(tmp_path, s3)
    check(s3, small, outcome)
    parts = int(outcome.ledger.accounts["parts"].listed)
    fault_table.add(FaultRow("poison file, real encoders", len(small) - NEIGHBOURS, parts, 0, 0, 0))
