"""What earlier runs know of assets."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.changes import KNOWN
from pipelines.runfiles import list_runs
from pipelines.storage import Storage
from pipelines.tables import read_columns


def known_assets(storage: Storage) -> pa.Table:
    """Everything in `assets`, and what the newest listing says was skipped because no encoder reads it (those have an
    empty fingerprint), with the columns of KNOWN."""
    tables = [batch.select(KNOWN.names).cast(KNOWN) for batch in read_columns(storage, "assets", KNOWN.names)]
    runs = [files for files in list_runs(storage) if files.state().get("verb", "run") == "run"]
    if runs:
        listing = runs[-1].listing([*KNOWN.names, "state"])
        unread = pc.and_(pc.equal(listing["perception_fingerprint"], ""), pc.not_equal(listing["state"], "failed"))
        tables.append(listing.filter(unread).select(KNOWN.names).cast(KNOWN))
    return pa.concat_tables(tables) if tables else KNOWN.empty_table()
