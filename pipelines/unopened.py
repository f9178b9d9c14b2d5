"""The row in `parts` of an asset that could not be opened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pipelines.fingerprints import part_id


def failed_row(listed: dict[str, Any], run_id: str, earlier_attempts: int) -> dict[str, Any]:
    """The row in `parts` of an asset that the probe could not open: it has no pages, but it is a row."""
    return {
        "part_id": part_id(listed["uri"], listed["etag"], 0, 0, listed["perception_fingerprint"]),
        "status": "failed",
        "failures": [listed["failure"] | {"attempt": earlier_attempts + 1}],
        "pages": [],
        "text": "",
        "attempts": earlier_attempts + 1,
        "read_at": datetime.now(UTC),
        "run_id": run_id,
        **{name: listed[name] for name in ("uri", "etag", "modality", "media_type", "perception_fingerprint")},
    }
