"""The figures of the report's head: stage seconds, failures by category, and throughput over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow.compute as pc
import pyarrow.fs as pafs

from encoders.failures import FailureCategory
from pipelines.runfiles import RunFiles, list_runs
from pipelines.storage import Storage
from pipelines.tables import read_batches

BINS = 48
FILES_PER_CATEGORY = 25
ADVICE = {
    FailureCategory.PASSWORD_REQUIRED: "Opens only with a password.",
    FailureCategory.CORRUPT: "The bytes do not follow the format that they claim.",
    FailureCategory.EMPTY: "Zero bytes, or a container with nothing in it.",
    FailureCategory.UNSUPPORTED: "No encoder reads this kind of file.",
    FailureCategory.TOO_LARGE: "Over a limit of pixels, pages, seconds or bytes.",
    FailureCategory.TIMED_OUT: "Opening or reading took longer than its limit; another attempt may succeed.",
    FailureCategory.CRASHED: "The process that read it died, twice.",
    FailureCategory.OUT_OF_MEMORY: "Memory ran out even for this file alone; another attempt may succeed.",
    FailureCategory.DOWNLOAD_FAILED: "The store did not hand over the bytes; another attempt may succeed.",
    FailureCategory.MODEL_FAILED: "A network raised an error; another attempt may succeed.",
}


@dataclass(slots=True)
class FailureGroup:
    """Failures of one category: how many, and the first files with page and message."""

    category: str
    advice: str
    count: int = 0
    files: list[tuple[str, int | None, str]] = field(default_factory=list)  # uri, page, message


@dataclass(frozen=True, slots=True)
class Work:
    """What all parts together took and could not do."""

    seconds: list[tuple[str, float]]  # stage, seconds; the longest first
    failures: list[FailureGroup]


def read_work(out: str | Storage) -> Work:
    """Stage seconds and failures over all parts, read column by column."""
    seconds: dict[str, float] = {}
    groups: dict[str, FailureGroup] = {}
    columns = ["uri", "seconds", "failures"]
    for batch in read_batches(out, "parts", columns=columns, batch_size=4096):
        flat = pc.list_flatten(batch["seconds"])
        for stage, spent in zip(
            pc.struct_field(flat, "stage").to_pylist(), pc.struct_field(flat, "seconds").to_pylist()
        ):
            seconds[stage] = seconds.get(stage, 0.0) + (spent or 0.0)
        failed = batch.filter(pc.greater(pc.fill_null(pc.list_value_length(batch["failures"]), 0), 0))
        for row in failed.select(["uri", "failures"]).to_pylist():
            for failure in row["failures"]:
                name = failure["category"]
                advice = ADVICE.get(name, "")
                group = groups.setdefault(name, FailureGroup(name, advice))
                group.count += 1
                if len(group.files) < FILES_PER_CATEGORY:
                    group.files.append((row["uri"], failure["page"], failure["message"] or ""))
    ordered = sorted(groups.values(), key=lambda group: -group.count)
    longest = sorted(seconds.items(), key=lambda item: -item[1])
    return Work([item for item in longest if item[1] > 0], ordered)


@dataclass(frozen=True, slots=True)
class Series:
    """Units per second in each bin of a run."""

    unit: str
    total: float
    rates: list[float]

    @property
    def peak(self) -> float:
        """The highest rate."""
        return max(self.rates, default=0.0)


@dataclass(frozen=True, slots=True)
class Throughput:
    """How fast one run went, from the times at which its commit records were written."""

    run_id: str
    started: datetime
    seconds: float  # from the start to the last commit
    parts: int
    series: list[Series]


def read_throughput(storage: Storage) -> Throughput | None:
    """Throughput of the last run that committed anything; None when there is none."""
    for files in reversed(list_runs(storage)):
        found = _throughput(files)
        if found is not None:
            return found
    return None


def _throughput(files: RunFiles) -> Throughput | None:
    state = files.state()
    selector = pafs.FileSelector(f"{files.folder}/commits", allow_not_found=True)
    written = {info.base_name: info.mtime for info in files.storage.filesystem.get_file_info(selector) if info.is_file}
    manifest = files.manifest(["part_id", "modality", "units"])
    if not written or not state.get("started") or not manifest.num_rows:
        return None
    units = dict(
        zip(manifest["part_id"].to_pylist(), zip(manifest["modality"].to_pylist(), manifest["units"].to_pylist()))
    )
    started = datetime.fromisoformat(state["started"])
    events: list[tuple[float, str, float]] = []
    parts = 0
    for record in files.commits():
        at = (written[f"{record.key}.json"].astimezone(UTC) - started).total_seconds()
        for part in record.parts:
            if part[0] in units:
                modality, amount = units[part[0]]
                events.append((max(at, 0.0), "audio seconds" if modality == "audio" else "pages", amount or 0.0))
                parts += 1
    if not events:
        return None
    span = max(max(at for at, _, _ in events), 1.0)
    series = []
    for unit in ("pages", "audio seconds"):
        bins = [0.0] * BINS
        for at, kind, amount in events:
            if kind == unit:
                bins[min(int(at * BINS / span), BINS - 1)] += amount
        if any(bins):
            series.append(Series(unit, sum(bins), [amount * BINS / span for amount in bins]))
    return Throughput(files.run_id, started, span, parts, series)
