"""Tables that the first version wrote: read as they are, brought to today's format in place, and newer ones refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from deltalake import DeltaTable

from pipelines.compact import compact
from pipelines.formats import FormatError, migrate, table_format
from pipelines.lease import Lease
from pipelines.ledger import read_ledger
from pipelines.storage import Storage
from pipelines.tables import FORMAT, FORMAT_KEY, PARTS, SCHEMAS, open_table, read_table
from tests.faults.drivers import InlineAsk, InlineRun, Job
from tests.faults.lakes import lake_rows, write_archive

FIRST = Path(__file__).parent / "first_format"


@pytest.fixture
def first(tmp_path: Path) -> str:
    return str(shutil.copytree(FIRST, tmp_path / "first"))


def formats(out: str) -> dict[str, int]:
    return {name: table_format(table) for name in SCHEMAS if (table := open_table(out, name)) is not None}


def test_the_first_format_is_read_and_migrated_by_the_next_command_that_writes(first: str, tmp_path: Path) -> None:
    before, log = lake_rows(first), tmp_path / "log"
    assert formats(first) == {"assets": 1, "parts": 1, "answers": 1}
    assert before["parts"].total() == 5 and before["answers"].total() == 4
    assert read_ledger(Storage(first)).balanced
    Job(None, first, InlineAsk, question="who?").run(log)
    assert formats(first) == {"assets": FORMAT, "parts": FORMAT, "answers": FORMAT}
    assert "parts was brought from format 1 to 3 (+ read_at, features)" in log.read_text()
    after = lake_rows(first)
    assert after["parts"] == before["parts"] and after["assets"] == before["assets"]
    assert before["answers"] <= after["answers"] and after["answers"].total() == 8
    log.unlink()
    Job(str(write_archive(tmp_path / "in", {"a.pdf": 3})), first, InlineRun).run(log)
    assert "format" not in log.read_text()
    rows = read_table(first, "parts").to_table(columns=["uri", "read_at"]).to_pylist()
    assert {row["read_at"] is None for row in rows if row["uri"].endswith(".txt")} == {True}
    assert len(rows) == 7 and {row["read_at"] is None for row in rows if row["uri"].endswith("a.pdf")} == {False}
    assert read_table(first, "parts").schema == PARTS
    assert read_ledger(Storage(first)).balanced


def test_a_migration_that_died_half_way_is_finished(first: str) -> None:
    from deltalake import Schema

    added = Schema.from_arrow(PARTS.empty_table().select(["read_at"]).schema).fields
    DeltaTable(f"{first}/parts").alter.add_columns(added)
    with Lease(Storage(first), "test") as lease:
        assert len(migrate(Storage(first), lease)) == 3
        assert migrate(Storage(first), lease) == []
    assert formats(first)["parts"] == FORMAT


def test_formats_that_lead_nowhere_are_refused_with_what_helps(first: str, tmp_path: Path) -> None:
    source = str(write_archive(tmp_path / "in", {"a.pdf": 1}))
    for number, help_text in (
        (FORMAT + 1, "pip install --upgrade interlace"),
        (0, "interlace run SOURCE --out NEW_OUT"),
    ):
        table = DeltaTable(f"{first}/parts")
        table.alter.set_table_properties({FORMAT_KEY: str(number)}, raise_if_not_exists=False)
        before = lake_rows(first)
        with pytest.raises(FormatError, match=help_text):
            Job(source, first).run(tmp_path / "log")
        with pytest.raises(FormatError, match=help_text), Lease(Storage(first), "compact") as lease:
            compact(Storage(first), lease, keep_hours=0)
        assert lake_rows(first) == before
