"""`run --prune`: rows of assets that are gone from their source leave the tables, in the publish of the run."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from encoders.failures import InterlaceError
from pipelines.manifest import LISTING
from pipelines.settings import RunConfig, UsageError
from pipelines.storage import Storage
from pipelines.tables import ASSETS, open_table

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


def deleted_rows(storage: Storage, sources: Sequence[str], listing: pa.Table) -> pa.Table:
    """Rows of the listing, with the state `deleted`, for assets that the tables hold, that lie under the sources, and
    that the listing does not have. Raises InterlaceError when a source lists nothing at all: a folder that is not
    mounted looks like one whose files were all deleted."""
    table = open_table(storage, "assets")
    if table is None:
        return LISTING.empty_table()
    if not listing.num_rows:
        raise InterlaceError(
            f"nothing lies under {', '.join(sources)}, so --prune would remove every row; if that is meant, remove the "
            f"tables under {storage.out} by hand, else mount or name the right source"
        )
    known = table.to_pyarrow_dataset(schema=ASSETS).to_table(columns=[n for n in ASSETS.names if n in LISTING.names])
    gone = known.filter(pc.invert(pc.is_in(known["uri"], value_set=listing["uri"].combine_chunks())))
    rows = [row for row in gone.to_pylist() if any(covers(source, row["uri"]) for source in sources)]
    more = {"state": "deleted", "replaces": True, "parts": 0, "failure": None}
    return pa.Table.from_pylist([row | more for row in rows], schema=LISTING)


def covers(source: str, uri: str) -> bool:
    """Whether a listing of ``source`` would have this asset if it still existed."""
    remote = source.startswith("s3://")
    base = source if remote else str(Path(source.removeprefix("file://")).expanduser().absolute())
    if _GLOB & set(base) and (remote or not Path(base).exists()):
        return fnmatch.fnmatchcase(uri, base) if remote else _fits(base.split("/"), uri.split("/"))
    return uri == base or uri.startswith(base.rstrip("/") + "/")


def _fits(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Whether `glob.glob` would find this path: there, unlike in fnmatch and in S3 listings, a star ends at a slash."""
    if not pattern or not names:
        return not pattern and not names
    if pattern[0] == "**" and not names[0].startswith("."):
        return _fits(pattern[1:], names) or _fits(pattern, names[1:])
    hidden = names[0].startswith(".") and not pattern[0].startswith(".")
    return not hidden and fnmatch.fnmatchcase(names[0], pattern[0]) and _fits(pattern[1:], names[1:])
