"""All that the ledger compares, divided by asset so that memory holds some of it at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.latest import LISTED, LISTED_NAMES, Latest, RunListing
from pipelines.manifest import LISTING
from pipelines.runfiles import RunFiles
from pipelines.shards import Shards

FOLDED = 200_000  # assets of which the newest rows are found run by run, in memory
_RUN = pa.field("run", pa.int32())
_ROWS = pa.schema([*(LISTING.field(name) for name in LISTED_NAMES), _RUN])
_PUBLISHED = pa.schema([LISTING.field("uri"), _RUN, pa.field("deleted", pa.bool_())])


class Books:
    """The listings of runs, oldest first, and rows of other tables with a column `uri`, to be added to ``shards``."""

    def __init__(self, runs: Sequence[RunFiles], tables: Mapping[str, pa.Schema] | None = None) -> None:
        self.shards = Shards({"folded": LISTED, "listing": _ROWS, "published": _PUBLISHED, **(tables or {})})
        self._folded = Latest()
        self._rest = deque(runs)
        self._fold()
        self.shards.add("folded", self._folded.listed)
        for number, files in enumerate(self._rest):
            self._divide(number, files)

    def __iter__(self) -> Iterator[tuple[Latest, dict[str, pa.Table]]]:
        """For some assets after others the newest listings, and the rows of all tables."""
        for shard in self.shards:
            latest = replace(
                self._folded, listed=shard["folded"], leaving=set(self._folded.leaving), idle=set(self._folded.idle)
            )
            for number, files in enumerate(self._rest):
                rows, published = (_of_run(shard[name], number) for name in ("listing", "published"))
                deleted = published.filter(published["deleted"])["uri"].to_pylist()
                announced = published.filter(pc.invert(published["deleted"]))["uri"].to_pylist()
                latest.take(RunListing.of(files, rows.select(LISTED_NAMES), announced, deleted))
            yield latest, shard

    def _fold(self) -> None:
        """As many runs as are small enough: a nightly archive has hundreds, which list the same."""
        while self._rest:
            files = self._rest[0]
            rows = files.listing_up_to(FOLDED - self._folded.listed.num_rows, LISTED_NAMES)
            if rows is None:
                return
            announced = {uri for uris in files.announced() for uri in uris.to_pylist()} if _closed(files) else ()
            self._folded.take(RunListing.of(files, rows, announced, set(files.deleted())))
            self._rest.popleft()

    def _divide(self, number: int, files: RunFiles) -> None:
        for rows in files.listing_tables(LISTED_NAMES):
            self.shards.add("listing", rows.append_column(_RUN, _same(number, rows.num_rows)))
        deleted = pa.array(files.deleted(), pa.string())
        for uris, gone in ((deleted, True), *((uris, False) for uris in files.announced() if _closed(files))):
            columns = [uris, _same(number, len(uris)), pa.array(np.full(len(uris), gone))]
            self.shards.add("published", pa.table(columns, schema=_PUBLISHED))


def _closed(files: RunFiles) -> bool:
    return bool(files.state().get("superseded"))


def _same(number: int, rows: int) -> pa.Array:
    return pa.array(np.full(rows, number, np.int32))


def _of_run(rows: pa.Table, number: int) -> pa.Table:
    """The rows came run by run."""
    first, last = np.searchsorted(rows["run"].to_numpy(), [number, number + 1]).tolist()
    return rows.slice(first, last - first)
