"""The journal's notes: what counts against a part, and what only makes it suspect; and halves for want of memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.journal import Journal
from pipelines.manifest import MANIFEST
from pipelines.sources import list_assets
from pipelines.stages import PerceiveStage, RunContext, pack, unpack
from pipelines.storage import Storage
from tests.faults.arming import Faults
from tests.faults.openings import PAGES
from tests.faults.openings.config import OpeningsConfig


def die(journal: Journal, parts: list[str], stalled: float | None = None) -> None:
    """Leave a mark, as a worker does that dies."""
    storage = journal._storage
    kept = storage.delete
    storage.delete = lambda path: None  # type: ignore[method-assign]
    with journal.mark(7, parts) as stall:
        if stalled is not None:
            stall(stalled)
    storage.delete = kept  # type: ignore[method-assign]


def test_deaths_count_in_the_attempt_in_which_they_happen(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    first, second = (Journal(storage, "run", "ocr", attempt) for attempt in ("a", "b"))
    die(first, ["x", "y"])
    die(first, ["x"], stalled=30.0)
    with first.mark(7, ["z"]):
        pass  # lived
    seen = first.strikes(7)
    assert (seen["x"], seen["y"], seen["z"]) == (2, 1, 0)
    assert not seen.stalled("x") and seen.seconds == 30.0 and seen.suspect("y") and not seen.suspect("z")
    # Whoever killed the driver killed its workers: the next attempt is careful with what they held, and no more.
    later = second.strikes(7)
    assert later["x"] == 0 and later.suspect("x") and not later.suspect("z")
    assert first.strikes(8)["x"] == 0


def test_only_standing_still_is_called_so(tmp_path: Path) -> None:
    journal = Journal(Storage(str(tmp_path)), "run", "ocr")
    for _ in range(2):
        die(journal, ["x"], stalled=12.0)
    assert journal.strikes(7).stalled("x") and not journal.strikes(7).stalled("y")


def letters(source: Path, count: int) -> list[dict[str, Any]]:
    """Manifest rows of batch 7, which has as many text files."""
    source.mkdir()
    for number in range(count):
        (source / f"{number}.txt").write_text(f"letter {number}\n")
    rows = [
        {"part_id": f"part{number}", "uri": asset.uri, "etag": asset.etag, "modality": "document", "batch": 7}
        | {"media_type": "text/plain", "range_start": 0.0, "range_stop": 1.0, "parts": 1, "units": 1.0}
        for number, asset in enumerate(list_assets([str(source)]))
    ]
    assert set(rows[0]) <= set(MANIFEST.names)
    return rows


def test_each_pool_of_a_chain_tells_of_its_own_dead_workers(tmp_path: Path) -> None:
    context = RunContext(str(tmp_path / "out"), "run", "a")
    block = pack(letters(tmp_path / "in", 3))
    for task, part in (("ocr", "part0"), ("gui_detection", "part1"), ("object_detection", None)):
        if part:
            die(Journal(Storage(context.out), "run", task, "a"), [part])
        stage = PerceiveStage(replace(PAGES, task=task), OpeningsConfig(), context, "cpu")
        block = stage(block)
        stage._encoder.close()
    rows = unpack(block)
    assert rows[0]["note"] == (
        f"a worker of ocr died over {rows[0]['uri']} from 0; they were read again; "
        f"a worker of gui_detection died over {rows[1]['uri']} from 0; they were read again"
    )
    assert [row["note"] for row in rows[1:]] == [None, None]


@pytest.mark.parametrize(("most", "sizes"), [(3, [8, 4, 2, 2, 2, 2]), (0, [8, 4, 2, *[1] * 8])])
def test_memory_that_runs_out_halves_the_batch(tmp_path: Path, faults: Faults, most: int, sizes: list[int]) -> None:
    rows = letters(tmp_path / "in", 8)
    stage = PerceiveStage(PAGES, OpeningsConfig(most=most), RunContext(str(tmp_path / "out"), "run"), "cpu")
    for _ in range(2):  # a later batch begins with the size that fitted
        made = unpack(stage(pack(rows)))
        if most:
            assert [row["text"] for row in made] == [f"letter {number}" for number in range(8)]
        else:
            assert {row["failures"][0]["category"] for row in made} == {"out_of_memory"}
        assert [len(hit.detail.split()) for hit in faults.log("ocr.read")] == sizes
        faults.clear()
        sizes = sizes[sizes.index(min(sizes)) :]
    stage._encoder.close()
    assert not list((tmp_path / "out").rglob("*.json"))  # nobody died: no mark is left
