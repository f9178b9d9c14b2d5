"""Which of the assets that a source lists are new or changed.

Both sides are Arrow columns and the join is a hash lookup of uris in this process: a million assets take less time than
a distributed join needs to start (docs/decisions.md has the figures). More than fit in memory are joined in shards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.row_file import RowFile
from pipelines.shards import Shards

KNOWN = pa.schema(
    {"uri": pa.string(), "etag": pa.string(), "perception_fingerprint": pa.string(), "modality": pa.string()}
)
STATES = ("unchanged", "changed", "reread", "unread", "new")
_FOUND = pa.schema({"uri": pa.string(), "etag": pa.string(), "position": pa.int64()})


@dataclass(frozen=True, slots=True)
class Compared:
    """What is known of every asset found, by its place in the listing: five bytes for each."""

    state: np.ndarray  # uint8, of STATES
    before: np.ndarray  # int32, of `pairs`; only of those that are unchanged
    pairs: list[tuple[str, str]]  # modality and fingerprint

    def known(self, places: np.ndarray) -> dict[str, pa.Array]:
        """Modality and fingerprint of unchanged assets."""
        codes = pa.array(self.before[places])
        names = ("modality", "perception_fingerprint")
        return {
            name: pa.array([pair[at] for pair in self.pairs], pa.string()).take(codes) for at, name in enumerate(names)
        }

    def counts(self) -> dict[str, int]:
        """How many assets have each state, of those that some have."""
        found = np.bincount(self.state, minlength=len(STATES)).tolist()
        return {state: count for state, count in zip(STATES, found, strict=True) if count}


def compare_all(found: RowFile, known: Iterable[pa.Table], fingerprints: Mapping[str, str]) -> Compared:
    """`compare` for a listing and tables of any length. Of rows of ``known`` with the same uri the first one counts."""
    shards = Shards({"found": _FOUND, "known": KNOWN})
    first = 0
    for batch in found.to_batches():
        position = pa.array(np.arange(first, first + batch.num_rows))
        shards.add("found", pa.table([batch["uri"], batch["etag"], position], schema=_FOUND))
        first += batch.num_rows
    for table in known:
        shards.add("known", table)
    states, before = np.zeros(first, np.uint8), np.zeros(first, np.int32)
    pairs: dict[tuple[str, str], int] = {}
    for shard in shards:
        position = shard["found"]["position"].to_numpy()
        rows = compare(shard["found"], shard["known"], fingerprints)
        states[position] = pc.index_in(rows["state"], value_set=pa.array(STATES)).to_numpy()
        named = [pc.fill_null(rows[name], "") for name in ("modality", "perception_fingerprint")]
        joined = pc.binary_join_element_wise(*named, "\0").combine_chunks().dictionary_encode()
        names = [tuple(name.split("\0")) for name in joined.dictionary.to_pylist()]
        codes = np.array([pairs.setdefault((name[0], name[1]), len(pairs)) for name in names], np.int32)
        before[position] = codes[joined.indices.to_numpy()]
    return Compared(states, before, list(pairs))


def compare(found: pa.Table, known: pa.Table, fingerprints: Mapping[str, str]) -> pa.Table:
    """For every asset found, in order: `state` (unchanged, changed, reread, unread or new), and what is known of its
    modality and fingerprint. `reread` means that the bytes are the same and the encoders are not; `unread`, that the
    bytes are the same and no encoder was there to read them.

    ``found`` has uri and etag, ``known`` the columns of KNOWN, ``fingerprints`` the encoders of today by modality; a
    modality that nothing reads today stays as it is.
    """
    where = pc.index_in(found["uri"], value_set=known["uri"])
    before = known.take(where)
    names = pa.array(list(fingerprints), pa.string())
    today = pa.array(list(fingerprints.values()), pa.string()).take(pc.index_in(before["modality"], value_set=names))
    same_bytes = pc.equal(before["etag"], found["etag"])
    same_encoders = pc.equal(before["perception_fingerprint"], pc.coalesce(today, before["perception_fingerprint"]))
    no_encoder = pc.equal(before["perception_fingerprint"], "")
    state = pc.case_when(
        pc.make_struct(
            pc.is_null(where), pc.and_(same_bytes, same_encoders), pc.and_(same_bytes, no_encoder), same_bytes
        ),
        "new",
        "unchanged",
        "unread",
        "reread",
        "changed",
    )
    return before.select(["modality", "perception_fingerprint"]).append_column("state", state)
