"""`run --prune`: rows of assets that are gone from their source leave the tables, in the publish of the run."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from encoders.failures import InterlaceError
from pipelines.manifest import LISTING
from pipelines.settings import RunConfig, UsageError
from pipelines.storage import Storage, local_path
from pipelines.tables import ASSETS, open_table, read_rows

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
    that the listing does not have. Raises InterlaceError when a source that had assets lists nothing at all: a folder
    that is not mounted looks like one whose files were all deleted."""
    if open_table(storage, "assets") is None:
        return LISTING.empty_table()
    known = read_rows(storage, "assets", columns=[name for name in ASSETS.names if name in LISTING.names])
    gone = known.filter(pc.invert(pc.is_in(known["uri"], value_set=listing["uri"].combine_chunks()))).to_pylist()
    rows: dict[str, dict[str, Any]] = {}
    for source in sources:
        covered = covers(source)
        own = {row["uri"]: row for row in gone if covered(row["uri"])}
        if own and not any(map(covered, listing["uri"].to_pylist())):
            raise InterlaceError(
                f"nothing lies under {source}, so --prune would remove every row of it; if that is meant, leave one "
                "asset there, else mount or name the right source"
            )
        rows |= own
    more = {"state": "deleted", "replaces": True, "parts": 0, "failure": None}
    return pa.Table.from_pylist([row | more for row in rows.values()], schema=LISTING)


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
