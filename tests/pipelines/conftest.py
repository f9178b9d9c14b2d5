"""The demo archive, read once for all tests that look at its tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from rich.console import Console

from cluster.decoder_lease import ensure_decoder
from pipelines.outcome import Outcome
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings
from pipelines.tables import read_table

ARCHIVE = Path(__file__).resolve().parents[2] / "examples" / "archive"
QUESTION = "What is the title or subject of this?"


SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string", "maxLength": 40}, "pages": {"type": ["integer", "null"]}},
    "required": ["title", "pages"],
    "additionalProperties": False,
}


class Runs(NamedTuple):
    """The run over examples/archive with a question, and the run that asked for a schema, twice, of some of it."""

    out: str
    first: Outcome
    parts: pa.Table  # part_id and run_id, after the first
    asked: Outcome
    again: Outcome


@pytest.fixture(scope="session")
def runs(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One decoder for all of them: it takes longer to start than to answer."""
    folder = tmp_path_factory.mktemp("demo")
    out, schema = str(folder / "lake"), folder / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    progress = Progress(Console(file=(folder / "progress").open("w"), width=200))

    def run(sources: list[Path], **asked: str) -> Outcome:
        given = {f"run.{name}": value for name, value in asked.items()}
        settings = load_settings(None, given | {"decoder.max_new_tokens": 24}, {}).settings
        return Run(settings, [str(source) for source in sources], out, progress).execute()

    some = [ARCHIVE / "photos", ARCHIVE / "reports"]
    with ensure_decoder(load_settings(None, {"decoder.max_new_tokens": 24}, {}).settings.decoder):
        first = run([ARCHIVE], prompt=QUESTION)
        parts = read_table(out, "parts").to_table(columns=["part_id", "run_id"])
        asked, again = (run(some, answer_schema=str(schema)) for _ in range(2))
    return Runs(out, first, parts, asked, again)


@pytest.fixture(scope="session")
def demo(runs: Runs) -> tuple[Outcome, str]:
    """How the run over examples/archive ended, and its OUT."""
    return runs.first, runs.out
