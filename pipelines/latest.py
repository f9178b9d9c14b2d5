"""The newest listing of every asset, over all runs: what the ledger compares the tables with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.manifest import LISTING
from pipelines.runfiles import RunFiles

LISTED_NAMES = ["uri", "etag", "perception_fingerprint", "pages", "seconds", "parts", "state"]
LISTED = pa.schema([*(LISTING.field(name) for name in LISTED_NAMES), pa.field("open", pa.bool_())])
"""``open``: its run is unfinished."""


@dataclass(frozen=True, slots=True)
class RunListing:
    """What one run says of some assets: rows of its listing, and what its publishes brought in and took out."""

    run_id: str
    rows: pa.Table
    announced: pa.Array  # read only of a run that another one closed
    deleted: pa.Array
    unfinished: bool
    superseded: bool

    @classmethod
    def of(cls, files: RunFiles, rows: pa.Table, announced: Iterable[str], deleted: Iterable[str]) -> RunListing:
        """With the state of the run; ``rows`` have the columns LISTED_NAMES."""
        state = files.state()
        unfinished, superseded = not state.get("finished"), bool(state.get("superseded"))
        return cls(files.run_id, rows, strings(announced), strings(deleted), unfinished, superseded)


@dataclass(slots=True)
class Latest:
    """Per uri the newest row; the uris that an unfinished run is pruning; the runs whose listing changed nothing."""

    listed: pa.Table = field(default_factory=LISTED.empty_table)
    leaving: set[str] = field(default_factory=set)
    idle: set[str] = field(default_factory=set)

    def take(self, run: RunListing) -> None:
        """The run that came next. `unchanged` rows refer back to the run that read the asset. A run that another one
        closed stands for the assets that it published, and for no others."""
        rows, listed = run.rows, self.listed
        if run.unfinished:
            self.leaving |= set(run.deleted.to_pylist())
        kind = rows["state"]
        gone = rows["uri"].filter(pc.equal(kind, "deleted"))
        gone = gone.filter(pc.is_in(gone, value_set=run.deleted))
        if len(gone):
            listed = listed.filter(pc.invert(pc.is_in(listed["uri"], value_set=gone)))
        known = pc.and_(pc.equal(kind, "unchanged"), pc.is_in(rows["uri"], value_set=listed["uri"]))
        counts = pc.invert(pc.or_(pc.equal(kind, "deleted"), known))
        if run.superseded:
            stands = pc.is_in(kind, value_set=pa.array(["unchanged", "skipped"]))
            counts = pc.and_(counts, pc.or_(stands, pc.is_in(rows["uri"], value_set=run.announced)))
        rows = rows.filter(counts)
        self.leaving -= set(rows["uri"].filter(pc.is_in(rows["uri"], value_set=strings(self.leaving))).to_pylist())
        if not rows.num_rows and not len(gone):
            self.idle.add(run.run_id)
        rows = rows.append_column("open", pa.array(np.full(rows.num_rows, run.unfinished)))
        self.listed = last_of_each("uri", pa.concat_tables([listed, rows]))


def last_of_each(name: str, rows: pa.Table) -> pa.Table:
    """The last row of each value in a column."""
    codes = pc.dictionary_encode(rows[name].combine_chunks()).indices.to_numpy()
    last = np.zeros(codes.max(initial=-1) + 1, np.int64)
    last[codes] = np.arange(len(codes))  # of an index that comes again, the last assignment stands
    return rows if len(last) == len(codes) else rows.take(pa.array(np.sort(last)))


def strings(values: Iterable[str]) -> pa.Array:
    """Sorted, as Arrow."""
    return pa.array(sorted(values), pa.string())
