"""A lake whose assets count as read by today's encoders, without reading them: the control plane does its work, with
the rows of `benchmarks.stub`. Benches of later runs start from it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.stub.encoder import StubEncoder
from encoders.base import MediaInput
from encoders.media.opened import Probe
from pipelines.batches import form_branches
from pipelines.lease import Lease
from pipelines.manifest import Manifest, build_manifest
from pipelines.progress import Progress
from pipelines.publish import publish
from pipelines.run import Run
from pipelines.runfiles import RunFiles
from pipelines.settings import load_settings
from pipelines.sources import Asset, list_assets
from pipelines.tables import ANSWERS, PARTS, as_row, rows_to_table


def make_texts(folder: Path, count: int) -> None:
    """So many one-page assets, a thousand to a folder."""
    for number in range(count):
        path = folder / f"{number // 1000:04d}" / f"{number:07d}.txt"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_text(f"asset {number}\n")


def seed(source: Path, out: Path) -> None:
    """Fill OUT with one-page assets of ``source``."""
    run = Run(load_settings(None, {}, {}).settings, [str(source)], str(out), Progress(Console(file=sys.stderr)))
    manifest = build_manifest(list_assets(run.sources), (), run.fingerprints(), run.settings.run, _one_page_each)
    branches, parts = form_branches(manifest.parts, run.entries, run.plan(manifest))
    started = datetime.now(UTC)
    files = RunFiles(run.storage, f"{started:%Y%m%dT%H%M%S}-seeded")
    files.freeze(Manifest(manifest.listing, parts))
    for batch in files.batches([number for branch in branches for number in branch.batches]):
        rows = [_row(part, files.run_id) for part in batch.to_pylist()]
        files.commit({"parts": rows_to_table(rows, PARTS), "answers": ANSWERS.empty_table()})
    done = {"run_id": files.run_id, "started": started.isoformat(), "finished": datetime.now(UTC).isoformat()}
    files.write_state(done | {"sources": run.sources, "signature": "seeded", "branches": []})
    with Lease(files.storage, "bench") as lease:
        publish(files, lease)


def _one_page_each(assets: Iterable[Asset]) -> Iterator[tuple[Asset, Probe]]:
    for asset in assets:
        yield asset, Probe("text/plain", "document", pages=1)


def _row(part: dict[str, Any], run_id: str) -> dict[str, Any]:
    (seen,) = _STUB([MediaInput(part["part_id"], part["uri"], part["media_type"], start=0, stop=1)])
    pages = [as_row(page) for page in seen.result.pages]
    made = {"status": "ok", "pages": pages, "text": "a line", "failures": [], "seconds": [], "attempts": 1}
    return {name: part[name] for name in PARTS.names if name in part} | made | {"run_id": run_id}


_STUB = StubEncoder(None)  # type: ignore[arg-type]  # it reads no setting
