"""The spans of a run that its driver knows: the run, and of each part the listing, probe, publish and the whole.

Each part has a tree of its own, found by its name: actors add what they did to it. The run is another tree, which the
parts link to: one tree with a million parts could not be looked at.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from encoders.tracing import OFF, Trace, Tracing, flush, span
from pipelines.lease import Lease
from pipelines.publish import Published, publish
from pipelines.row_file import RowFile
from pipelines.runfiles import RunFiles


class RunTraces:
    """What a driver traces. All of it does nothing when ``tracing`` is off."""

    def __init__(self, tracing: Tracing) -> None:
        self.tracing = tracing
        self.probes: dict[str, tuple[int, int]] | None = {} if tracing else None  # uri to when it was probed
        self._run, self._run_id = OFF, ""
        self._began = time.time_ns()
        self._listed = self._probed = 0  # when the listing and the last probe ended
        self._written: list[tuple[Trace, str, str]] = []  # place, uri and status of parts that wait for their publish

    @contextmanager
    def running(self, run_id: str, verb: str, attempt: str) -> Iterator[None]:
        """The span of this attempt at a run, listing included, around all that the driver does."""
        self._run_id, self._run = run_id, self.tracing.named(run_id, attempt)
        if self._listed:
            self._run.add("list", self._began, self._listed)
            self._run.add("probe", self._listed, self._probed)
        try:
            with self._run.active():
                yield
        finally:
            self._run.add_root(verb, self._began, time.time_ns(), run_id=run_id)
            flush(self.tracing)

    def scanned(self, run_id: str, parts: RowFile) -> None:
        """Sources were listed and assets probed, as a result of which there are these parts."""
        if self.probes is None:
            return
        self._probed = time.time_ns()
        self._listed = min((start for start, _ in self.probes.values()), default=self._probed)
        for part_id, uri in _named(parts):
            if place := self.tracing.named(run_id, part_id):
                place.add("list", self._began, self._listed)
                place.add("probe", *self.probes.get(uri, (self._probed, self._probed)))
        self.probes.clear()

    def told(self, rows: Sequence[dict[str, Any]]) -> None:
        """Parts were written; each row learns the trace it belongs to."""
        for row in rows if self.tracing else ():
            place = self.tracing.named(self._run_id, row["part_id"])
            row["trace_id"] = place.name
            if place:
                self._written.append((place, row["uri"], row["status"]))

    def publish(self, files: RunFiles, lease: Lease) -> Published | None:
        """`pipelines.publish.publish`: what was written so far becomes visible; then the parts' trees are whole."""
        start = time.time_ns()
        with span("publish", parts=len(self._written)):
            published = publish(files, lease)
        end = time.time_ns()
        for place, uri, status in self._written:
            place.add("publish", start, end)
            place.add_root("part", self._began, end, self._run, uri=uri, status=status, run_id=self._run_id)
        self._written.clear()
        return published


def _named(parts: RowFile) -> Iterator[tuple[str, str]]:
    for rows in parts.to_batches():
        yield from zip(rows["part_id"].to_pylist(), rows["uri"].to_pylist(), strict=True)
