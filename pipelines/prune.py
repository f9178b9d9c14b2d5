"""`run --prune`: rows of assets that are gone from their source leave the tables, in the publish of the run."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from encoders.failures import InterlaceError
from pipelines.manifest import LISTING
from pipelines.row_file import RowFile
from pipelines.settings import RunConfig, UsageError
from pipelines.shards import Shards
from pipelines.storage import Storage, local_path
from pipelines.tables import ASSETS, read_columns

_GLOB = frozenset("*?[")


def check_prunable(sources: Sequence[str], config: RunConfig) -> None:
    """Raise UsageError where a listing does not say what was deleted."""
    if config.limit is not None or config.sample is not None:
        raise UsageError("--prune needs the whole listing; leave out --limit and --sample")
    lists = [source for source in sources if source.startswith("@")]
    if lists:
        raise UsageError(
            f"--prune cannot tell what was deleted from a list of uris ({lists[0]}); name folders or prefixes"
        )


def deleted_rows(storage: Storage, sources: Sequence[str], listing: RowFile) -> RowFile:
    """Rows of the listing, with the state `deleted`, for assets that the tables hold, that lie under the sources, and
    that the listing does not have. Raises InterlaceError when a source that had assets lists nothing at all: a folder
    that is not mounted looks like one whose files were all deleted."""
    covered = [covers(source) for source in sources]
    listed, had = [False] * len(sources), [False] * len(sources)
    names = [name for name in ASSETS.names if name in LISTING.names]
    schema = pa.schema([ASSETS.field(name) for name in names])
    shards = Shards({"known": schema, "listed": pa.schema([LISTING.field("uri")])})
    for known in read_columns(storage, "assets", names):
        shards.add("known", known.select(names))
    for rows in listing.tables():
        shards.add("listed", rows.select(["uri"]))
        uris = rows["uri"].to_pylist() if not all(listed) else []
        listed = [there or any(map(covers_it, uris)) for there, covers_it in zip(listed, covered)]
    gone = RowFile(LISTING)
    more = {"state": "deleted", "replaces": True, "parts": 0, "failure": None}
    for shard in shards:
        missing = pc.invert(pc.is_in(shard["known"]["uri"], value_set=shard["listed"]["uri"]))
        for row in (row for rows in shard["known"].filter(missing).to_batches() for row in rows.to_pylist()):
            own = [covers_it(row["uri"]) for covers_it in covered]
            had = [before or now for before, now in zip(had, own)]
            if any(own):
                gone.append(row | more)
    for source, before, now in zip(sources, had, listed):
        if before and not now:
            raise InterlaceError(
                f"nothing lies under {source}, so --prune would remove every row of it; if that is meant, leave one "
                "asset there, else mount or name the right source"
            )
    return gone


def covers(source: str) -> Callable[[str], bool]:
    """Tells of a uri whether a listing of ``source`` would have it if it still existed."""
    remote = source.startswith("s3://")
    base = source if remote else str(local_path(source))
    if _GLOB & set(base) and (remote or not Path(base).exists()):
        names = base.split("/")
        return lambda uri: fnmatch.fnmatchcase(uri, base) if remote else _fits(names, uri.split("/"))
    folder = base.rstrip("/") + "/"
    return lambda uri: uri == base or uri.startswith(folder)


def _fits(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Whether `glob.glob` would find this path: there, unlike in fnmatch and in S3 listings, a star ends at a slash."""
    if not pattern or not names:
        return not pattern and not names
    if pattern[0] == "**" and not names[0].startswith("."):
        return _fits(pattern[1:], names) or _fits(pattern, names[1:])
    hidden = names[0].startswith(".") and not pattern[0].startswith(".")
    return not hidden and fnmatch.fnmatchcase(names[0], pattern[0]) and _fits(pattern[1:], names[1:])
