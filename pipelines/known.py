"""What earlier runs know of assets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.changes import KNOWN
from pipelines.runfiles import RunFiles
from pipelines.storage import Storage
from pipelines.tables import read_columns


def known_assets(storage: Storage, runs: Sequence[RunFiles]) -> Iterator[pa.Table]:
    """Everything in `assets`, and what the newest of these listings says was skipped because no encoder reads it (those
    have an empty fingerprint), with the columns of KNOWN."""
    for rows in read_columns(storage, "assets", KNOWN.names):
        yield rows.select(KNOWN.names).cast(KNOWN)
    listings = [files for files in runs if files.state().get("verb", "run") == "run"]
    for rows in listings[-1].listing_tables([*KNOWN.names, "state"]) if listings else ():
        unread = pc.and_(pc.equal(rows["perception_fingerprint"], ""), pc.not_equal(rows["state"], "failed"))
        yield rows.filter(unread).select(KNOWN.names).cast(KNOWN)
