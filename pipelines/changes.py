"""Which of the assets that a source lists are new or changed.

Both sides are Arrow columns and the join is one hash lookup of uris in this process: a million assets take less time
than a distributed join needs to start (docs/decisions.md has the figures).
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

KNOWN = pa.schema(
    {"uri": pa.string(), "etag": pa.string(), "perception_fingerprint": pa.string(), "modality": pa.string()}
)


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
