"""What earlier runs know of assets."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.changes import KNOWN
from pipelines.runfiles import RunFiles
from pipelines.storage import Storage
from pipelines.tables import read_columns


def known_assets(storage: Storage, runs: Sequence[RunFiles]) -> pa.Table:
    """Everything in `assets`, and what the newest of these listings says was skipped because no encoder reads it (those
    have an empty fingerprint), with the columns of KNOWN."""
    tables = [batch.select(KNOWN.names).cast(KNOWN) for batch in read_columns(storage, "assets", KNOWN.names)]
    listings = [files for files in runs if files.state().get("verb", "run") == "run"]
    if listings:
        listing = listings[-1].listing([*KNOWN.names, "state"])
        unread = pc.and_(pc.equal(listing["perception_fingerprint"], ""), pc.not_equal(listing["state"], "failed"))
        tables.append(listing.filter(unread).select(KNOWN.names).cast(KNOWN))
    return pa.concat_tables(tables) if tables else KNOWN.empty_table()
