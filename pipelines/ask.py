"""`ask`: another question, answered from what the tables hold. No asset is listed, opened or fetched."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.manifest import LISTING, MANIFEST, Manifest
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import SettingsTree, UsageError
from pipelines.tables import ASSETS, read_rows, require_tables


class Ask(Run):
    """A run over what was read before: its listing is the table `assets`, and it has no parts."""

    verb = "ask"
    closes = ()  # it reads nothing, so an unfinished run can go on after it

    def __init__(self, settings: SettingsTree, out: str, progress: Progress, **options: Any) -> None:
        super().__init__(settings, (), out, progress, **options)
        if self.question is None:
            raise UsageError("say what to ask: --prompt TEXT, --schema FILE, or both")
        require_tables(self.storage)

    def scan(self, fingerprints: dict[str, str] | None = None) -> Manifest:
        """The assets that were read; nothing is opened."""
        names = [name for name in ASSETS.names if name in LISTING.names]
        rows = read_rows(self.storage, "assets", columns=names, filter=pc.field("status") != "failed")
        for name in LISTING.names:
            if name not in names:
                value = {"state": "unchanged", "replaces": False}.get(name)
                rows = rows.append_column(name, pa.repeat(pa.scalar(value, LISTING.field(name).type), rows.num_rows))
        return Manifest(rows.select(LISTING.names), MANIFEST.empty_table())

    def _asked(self, fingerprints: dict[str, str]) -> list[Any]:
        assert self.question is not None
        return [self.verb, self.question.fingerprint]
