"""What a second run reads: exactly what was added, changed, renamed, or read by other encoders, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.runfiles import list_runs
from pipelines.settings import load_settings
from pipelines.storage import Storage
from pipelines.tables import open_table, read_table
from tests.pipelines.letters import LETTERS
from tests.pipelines.letters.config import LettersConfig


class Lake:
    """An archive of text files, its OUT, and runs of the letters encoder over it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.source, self.out = folder, folder / "in", folder / "out"
        self.source.mkdir()
        self._read = 0

    def write(self, **texts: str) -> None:
        for name, text in texts.items():
            (self.source / f"{name}.txt").write_text(f"{text}\n")

    def run(self, checkpoint: str = "letters-1") -> str:
        """Run once; what was printed."""
        settings = load_settings(None, {"cluster.num_cpus": 2}, {}).settings
        with (self.folder / "progress").open("w+") as file:
            progress = Progress(Console(file=file, width=300))
            run = Run(settings, [str(self.source)], str(self.out), progress, {"ocr": LETTERS})
            run.configs = {"ocr": LettersConfig(calls=self.folder / "calls", checkpoint=checkpoint)}
            outcome = run.execute()
            file.seek(0)
            printed = file.read()
        assert outcome.ledger.balanced, outcome.ledger.complaints
        return printed

    def reads(self) -> Counter[str]:
        """Names of the assets that the encoder was given since this was last asked, with how often."""
        lines = (self.folder / "calls").read_text().splitlines()
        new, self._read = lines[self._read :], len(lines)
        return Counter(Path(uri).stem for uri in new)

    def probed(self) -> set[str]:
        """Names of the assets that the newest run opened to see what they are."""
        listing = list_runs(Storage(str(self.out)))[-1].listing(["uri", "state"]).to_pylist()
        return {Path(row["uri"]).stem for row in listing if row["state"] != "unchanged"}

    def texts(self) -> dict[str, str]:
        """What `parts` holds, by name; every asset has one row there."""
        rows = read_table(str(self.out), "parts").to_table(columns=["uri", "text"]).to_pylist()
        assets = read_table(str(self.out), "assets").to_table(columns=["uri"])["uri"].to_pylist()
        assert sorted(row["uri"] for row in rows) == sorted(assets)
        return {Path(row["uri"]).stem: row["text"] for row in rows}

    def versions(self) -> dict[str, int]:
        """The version of each Delta table."""
        tables = {name: open_table(str(self.out), name) for name in ("assets", "parts")}
        return {name: table.version() for name, table in tables.items() if table is not None}


@pytest.mark.usefixtures("ray_cluster")
def test_later_runs_read_what_is_new_changed_or_read_by_other_encoders_and_nothing_else(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.write(kept="kept", changed="before", deleted="deleted", old_name="moved", other="other")
    lake.run()
    assert lake.reads() == Counter(["kept", "changed", "deleted", "old_name", "other"])
    first = lake.versions()

    # Nothing new: neither does Ray start, nor is anything opened or committed.
    command: list[Any] = [sys.executable, "-m", "tests.pipelines.letters", lake.folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "Ray" not in done.stdout
    assert lake.reads() == Counter() and lake.probed() == set() and lake.versions() == first

    # Added, changed, deleted, renamed: three assets are opened and read, one commit per table replaces their rows.
    lake.write(added="added", changed="after, and longer")
    (lake.source / "deleted.txt").unlink()
    (lake.source / "old_name.txt").rename(lake.source / "new_name.txt")
    assert "read again" not in lake.run()
    assert lake.reads() == Counter(["added", "changed", "new_name"])
    assert lake.probed() == {"added", "changed", "new_name"}
    assert lake.versions() == {name: version + 1 for name, version in first.items()}
    here = {"kept": "kept", "other": "other", "added": "added", "changed": "after, and longer", "new_name": "moved"}
    gone = {"deleted": "deleted", "old_name": "moved"}  # rows of what is gone stay until they are pruned
    assert lake.texts() == here | gone

    # Another checkpoint: everything that is still there is read again, once, and the run says so before it does.
    assert "5 assets are read again" in lake.run(checkpoint="letters-2")
    assert lake.reads() == Counter(here.keys())
    assert lake.texts() == here | gone
