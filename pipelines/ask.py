"""`ask`: another question, answered from what the tables hold. No asset is listed, opened or fetched."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.manifest import LISTING, MANIFEST, Manifest
from pipelines.progress import Progress
from pipelines.row_file import RowFile
from pipelines.run import Run
from pipelines.settings import SettingsTree, UsageError
from pipelines.tables import ASSETS, read_columns, require_tables


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
        constant = {"state": "unchanged", "replaces": False}
        listing = RowFile(LISTING)
        for rows in read_columns(self.storage, "assets", [*names, "status"]):
            rows = rows.filter(pc.not_equal(rows["status"], "failed"))
            for name in LISTING.names:
                if name not in names:
                    value = pa.scalar(constant.get(name), LISTING.field(name).type)
                    rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
            listing.add(rows.select(LISTING.names))
        return Manifest(listing, RowFile(MANIFEST))

    def _asked(self, fingerprints: dict[str, str]) -> list[Any]:
        assert self.question is not None
        return [self.verb, self.question.fingerprint]
