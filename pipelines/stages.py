"""The stages of a run as callables over Arrow blocks: perceive and write.

Between stages a batch of parts is one row with all its parts (`pack`). Ray Data may merge and split blocks, and
insists on a number of rows per call for pools with GPUs; a row it keeps whole, and the batch is the unit of journal
and commit.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cluster.gpu_busy import GpuMeter
from cluster.gpu_memory import cap_allocator
from cluster.node_age import node_age
from encoders.adapters.adapting import Adapting
from encoders.base import MediaInput, Perception
from encoders.checkpoints import CheckpointError
from encoders.failures import Failure, FailureCategory, MediaError, is_out_of_memory
from encoders.fault_points import fault_point
from encoders.heartbeat import beat
from encoders.loading import loading
from encoders.memory import collect_seldom, keep_memory
from encoders.registry import EncoderEntry
from encoders.results import DocumentResult, Speech
from encoders.tracing import Span, Tracing, flush
from pipelines.journal import STRIKES, Journal, Strikes
from pipelines.passwords import Passwords
from pipelines.runfiles import RunFiles
from pipelines.soft_tokens import soft_row
from pipelines.spool import Spool
from pipelines.stall import StallWatch
from pipelines.storage import Storage
from pipelines.tables import ANSWERS, PARTS, as_row, rows_to_table
from pipelines.tensors import spanned_rows

FETCHERS = 8  # assets of a batch that are fetched at once
NAMED = 5  # parts named in a note


@dataclass(frozen=True, slots=True)
class RunContext:
    """What every actor of a run needs to know."""

    out: str
    run_id: str
    attempt: str = ""  # of the driver that started the actors: it may ask them to stop
    passwords: Passwords = Passwords()  # noqa: RUF009  immutable
    stall_seconds: float = 600.0  # a worker that makes no progress for so long is ended
    adapters: Mapping[str, str] = field(
        default_factory=dict
    )  # task to the checkpoint of the adapter beside its encoder
    keep_soft_tokens: bool = False
    keep_features: bool = False
    tracing: Tracing = Tracing()  # noqa: RUF009  immutable

    def traced(self, rows: Sequence[Mapping[str, Any]], name: str, **attributes: Any) -> list[Span]:
        """An open span for each part, in the tree of its own."""
        places = [self.tracing.named(self.run_id, row["part_id"]) for row in rows]
        return [place.open(name, **attributes) for place in places]

    def files(self) -> RunFiles:
        """The run's files."""
        return RunFiles(Storage(self.out), self.run_id)


class PerceiveStage:
    """One task encoder in an actor: fetches the parts of a block, reads them, and returns rows of `parts`."""

    def __init__(self, entry: EncoderEntry, config: Any, context: RunContext, device: str) -> None:
        self._entry, self._context = entry, context
        began = time.perf_counter()
        self._spool = Spool()
        self._files = context.files()
        self._journal = Journal(Storage(context.out), context.run_id, entry.task, context.attempt)
        self._watch = StallWatch(context.stall_seconds)
        self._most: int | None = None  # parts at once, since memory ran out over more
        cap_allocator(device, encoder=(entry, config))
        adapter = context.adapters.get(entry.task)
        with loading():
            self._encoder = entry.build(config)
            self._encoder.load(device, lazily=True)
            self._adapter = Adapting(entry.task, adapter, device) if adapter else None
        self._checkpoint = f"{entry.task}:{self._encoder.fingerprint()}"  # which hashes a file
        self._gpu = GpuMeter.of(device)
        collect_seldom()
        keep_memory()
        self._loading: float | None = time.perf_counter() - began  # None once it was told

    def __call__(self, block: pa.Table) -> pa.Table:
        """A packed batch, as the manifest has it or as an earlier pool left it, with what this encoder reads."""
        started = time.perf_counter()
        first = self._first()
        rows = unpack(block)
        if not rows or (rows[0].get("status") is None and self._files.stopping(self._context.attempt)):
            return pack([])  # what an earlier pool has read already goes on
        batch = int(rows[0]["batch"])
        strikes = self._journal.strikes(batch)
        aside = [row for row in rows if strikes[row["part_id"]] >= STRIKES]
        done = {row["part_id"]: Perception(None, failures=(self._killer(row, strikes),)) for row in aside}
        suspects = [[row] for row in rows if strikes[row["part_id"]] < STRIKES and strikes.suspect(row["part_id"])]
        others = [row for row in rows if not strikes.suspect(row["part_id"])]
        spans = self._context.traced(rows, "perceive", task=self._entry.task, batch=batch)
        for group in ([others] if others else []) + suspects:
            ids = [row["part_id"] for row in group]
            with self._journal.mark(batch, ids) as stalled, self._watch.over(stalled):
                done |= self._read(group)
        attempts = {r["part_id"]: (r.get("earlier_attempts") or 0) + strikes[r["part_id"]] + 1 for r in rows}
        made = [self._row(row, done[row["part_id"]], attempts[row["part_id"]]) for row in rows]
        made[0]["note"] = "; ".join(filter(None, [rows[0].get("note"), self._note(rows, strikes)])) or None
        self._trace(spans, [done[row["part_id"]] for row in rows])
        busy = self._gpu.take() if self._gpu else None
        seconds = time.perf_counter() - started
        call = {"task": self._entry.task, "seconds": seconds, "gpu_busy": busy, "networks": self._ran(done.values())}
        made[0]["calls"] = [*(rows[0].get("calls") or ()), {**call, **first}]
        return pack(made)

    def _ran(self, perceptions: Iterable[Perception]) -> list[dict[str, Any]]:
        """Every network that this actor has loaded, with how many of the parts it ran for."""
        loaded = dict(self._encoder.parameters())
        if self._adapter is not None:
            loaded |= self._adapter.parameters()
        parts = Counter(name for perception in perceptions for name in perception.networks)
        return [{"name": name, "parameters": count, "parts": parts[name]} for name, count in loaded.items()]

    def _first(self) -> dict[str, Any]:
        """With the first batch: on which node, how long after that joined, and how long it took to load."""
        loading, self._loading = self._loading, None
        age = node_age() if loading is not None else None
        return {"node": age[0], "since_join": age[1], "loading": loading} if age else {}

    def _trace(self, spans: Sequence[Span], perceptions: Sequence[Perception]) -> None:
        for opened, perception in zip(spans, perceptions, strict=True):
            opened.trace.add_stages(perception.seconds, time.time_ns())
            opened.end(status=perception.status)
        flush(self._context.tracing)

    def _killer(self, row: dict[str, Any], strikes: Strikes) -> Failure:
        """Why a part is set aside: its worker died over it again and again, or stood still."""
        times = strikes[row["part_id"]]
        if strikes.stalled(row["part_id"]):
            message = f"no progress for {strikes.seconds:.0f} s, {times} times; its worker was ended each time"
            return Failure(FailureCategory.TIMED_OUT, self._entry.task, message, self._entry.task)
        message = f"the process that read it died {times} times"
        return Failure(FailureCategory.CRASHED, self._entry.task, message, self._entry.task)

    def _note(self, rows: Sequence[dict[str, Any]], strikes: Strikes) -> str | None:
        """What the user is told of a batch that workers died over."""
        struck = [row for row in rows if strikes[row["part_id"]]]
        if not struck:
            return None
        stalled = any(strikes.stalls.values())
        what = f"made no progress for {strikes.seconds:.0f} s and was ended" if stalled else "died"
        named = ", ".join(f"{row['uri']} from {row['range_start']:g}" for row in struck[:NAMED])
        more = f" and {len(struck) - NAMED} more" if len(struck) > NAMED else ""
        return f"a worker of {self._entry.task} {what} over {named}{more}; they were read again"

    def _read(self, rows: Sequence[dict[str, Any]]) -> dict[str, Perception]:
        """Fetch side by side, read together; what cannot be fetched does not hold up the others."""
        started = time.perf_counter()
        with ThreadPoolExecutor(FETCHERS) as pool:
            fetched = list(pool.map(self._fetch, rows))
        seconds = (time.perf_counter() - started) / len(rows)
        inputs = [item for item in fetched if isinstance(item, MediaInput)]
        perceptions = dict(zip((item.part_id for item in inputs), self._perceive(inputs), strict=True))
        for row, item in zip(rows, fetched, strict=True):
            if isinstance(item, Failure):
                perceptions[row["part_id"]] = Perception(None, failures=(item,))
            perception = perceptions[row["part_id"]]
            perception.seconds = {"download": seconds, **perception.seconds}
        return perceptions

    def _perceive(self, inputs: Sequence[MediaInput]) -> list[Perception]:
        """The encoder's perceptions. Encoders return failures and do not raise; when one does all the same, its parts
        are read one by one and the culprits fail, because one part must never cost the run. When memory ran out they
        are read in halves, and later batches in pieces of the size that fitted."""
        if not inputs:
            return []
        step = self._most or len(inputs)
        if len(inputs) > step:
            return [seen for at in range(0, len(inputs), step) for seen in self._perceive(inputs[at : at + step])]
        try:
            fault_point(f"{self._entry.task}.read", " ".join(item.part_id for item in inputs))
            seen = self._encoder(inputs)
            beat()
            return seen
        except CheckpointError:
            raise  # no part is to blame, and the next one would fare no better
        except Exception as error:
            memory, message = is_out_of_memory(error), f"{type(error).__name__}: {error}"[:500]
        # Outside the handler: the error's traceback holds on to what filled the memory.
        if len(inputs) == 1:
            category = FailureCategory.OUT_OF_MEMORY if memory else FailureCategory.MODEL_FAILED
            return [Perception(None, failures=(Failure(category, self._entry.task, message, self._entry.task),))]
        if not memory:
            return [self._perceive([item])[0] for item in inputs]
        _free_memory()
        self._most = len(inputs) // 2
        return self._perceive(inputs)

    def _fetch(self, row: dict[str, Any]) -> MediaInput | Failure:
        try:
            path = self._spool.get(row["uri"], row["etag"])
        except MediaError as error:
            return error.failure("download", self._entry.task)
        stop = row["range_stop"]
        return MediaInput(
            row["part_id"],
            row["uri"],
            row["media_type"],
            path=path,
            start=row["range_start"],
            stop=stop,
            password=self._context.passwords.of(row["uri"]),
        )

    def _row(self, row: dict[str, Any], perception: Perception, attempt: int) -> dict[str, Any]:
        """The part's row with what this encoder found added to what earlier ones did."""
        empty = {"failures": [], "seconds": [], "checkpoints": [], "text": "", "attempts": attempt}
        merged: dict[str, Any] = empty | {name: value for name, value in row.items() if value is not None}
        result = perception.result
        if isinstance(result, DocumentResult):
            merged["pages"] = [as_row(page) for page in result.pages]
            merged["text"] = "\n\n".join(page.text for page in result.pages)
        elif isinstance(result, Speech):
            speech = as_row(result)
            merged["speech"] = speech
            merged["text"] = result.text
        elif isinstance(result, tuple):
            merged["objects" if self._entry.task == "object_detection" else "gui_elements"] = [
                as_row(d) for d in result
            ]
            merged["pages"] = merged.get("pages") or [as_row(page) for page in perception.pages]
        if self._adapter is not None:
            started = time.perf_counter()
            made = soft_row(self._entry.task, self._adapter(perception), self._adapter.digest)
            perception.seconds = {**perception.seconds, "adapt": time.perf_counter() - started}
            merged["soft_tokens"] = [*(merged.get("soft_tokens") or ()), *made]
        if self._context.keep_features:
            made = spanned_rows(self._entry.task, perception.features, perception.spans)
            merged["features"] = [*(merged.get("features") or ()), *made]
        merged["failures"] = [*merged["failures"], *(as_row(f.at(attempt=attempt)) for f in perception.failures)]
        named = [{"stage": stage, "seconds": value} for stage, value in perception.seconds.items()]
        merged["seconds"] = [*merged["seconds"], *named]
        merged["checkpoints"] = [*merged["checkpoints"], self._checkpoint]
        earlier = row.get("status") or perception.status
        merged["status"] = perception.status if earlier == perception.status else "partial"
        merged["run_id"] = self._context.run_id
        merged["read_at"] = datetime.now(UTC)
        return merged


def _free_memory() -> None:
    """Give back what no object holds any more, of host and device."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


_NETWORK = pa.struct({"name": pa.string(), "parameters": pa.int64(), "parts": pa.int32()})
_CALLS = pa.list_(
    pa.struct(
        {"task": pa.string(), "seconds": pa.float64(), "gpu_busy": pa.float64(), "networks": pa.list_(_NETWORK)}
        | {"node": pa.string(), "since_join": pa.float64(), "loading": pa.float64()}  # of an actor's first batch
    )
)

STREAM = pa.schema(
    [
        *PARTS,
        pa.field("parts", pa.int32()),
        pa.field("units", pa.float64()),
        pa.field("batch", pa.int32()),
        pa.field("earlier_attempts", pa.int32()),
        pa.field("answer", pa.struct(list(ANSWERS))),
        pa.field("note", pa.string()),
        pa.field("calls", _CALLS),
    ]
)
"""A part between stages: a row of `parts`, what the manifest says of it, its answer when it was asked for, and on the
first row of a batch what happened to its workers, and how long each pool took over it."""

PACKED = pa.schema({"parts": pa.large_binary()})


def pack(rows: list[dict[str, Any]]) -> pa.Table:
    """A batch as one row."""
    return pack_table(rows_to_table(rows, STREAM))


def pack_table(rows: pa.Table) -> pa.Table:
    """A table as one row: one binary, because the driver keeps the schema of every block for as long as the run lasts,
    and that of a part, with its pages, lines and words, takes more than most batches."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return pa.table([pa.array([sink.getvalue().to_pybytes()], pa.large_binary())], schema=PACKED)


def unpack(block: pa.Table) -> list[dict[str, Any]]:
    """The rows of a packed table."""
    rows: list[dict[str, Any]] = unpack_table(block).to_pylist()
    return rows


def unpack_table(block: pa.Table) -> pa.Table:
    """A packed table, without turning it into Python objects."""
    return pa.ipc.open_stream(block["parts"][0].as_buffer()).read_all()


class WritingStage:
    """Another stage, and then its batches made durable: data files, then the commit record. Returns one small row per
    batch, which says for progress what became of its parts."""

    def __init__(self, stage: type, arguments: Mapping[str, Any], context: RunContext) -> None:
        self._stage = stage(**arguments)
        self._files = context.files()
        self._context, self._keep_soft_tokens = context, context.keep_soft_tokens
        self._watch = StallWatch(context.stall_seconds)

    def __call__(self, block: pa.Table) -> pa.Table:
        """A packed batch to what became of its parts, packed."""
        return pack_table(rows_to_table(self._write(self._stage(block)), PROGRESS))

    def _write(self, block: pa.Table) -> list[dict[str, Any]]:
        block = unpack_table(block)
        if not block.num_rows:
            return []
        answers = [row for row in block["answer"].to_pylist() if row is not None]
        given = zip(block["part_id"].to_pylist(), block["answer"].is_valid().to_pylist(), strict=True)
        answered = {part_id for part_id, there in given if there}
        parts = block.select(PARTS.names)
        if not self._keep_soft_tokens:
            parts = _without_read_soft_tokens(parts, block["parts"])
        told = [{"part_id": part_id} for part_id in block["part_id"].to_pylist()]
        spans = self._context.traced(told, "write")
        with self._watch.over(lambda seconds: None):
            self._files.commit({"parts": parts, "answers": rows_to_table(answers, ANSWERS)})
        for opened in spans:
            opened.end()
        flush(self._context.tracing)
        return _progress(block, answered)


def _progress(block: pa.Table, answered: set[str]) -> list[dict[str, Any]]:
    """What became of the parts, without making objects of all that was read in them."""
    pages = pc.fill_null(pc.list_value_length(block["pages"]), 0).to_pylist()
    seconds = pc.fill_null(pc.struct_field(block["speech"], "duration"), 0.0).to_pylist()
    columns = ["part_id", "uri", "status", "units", "failures", "seconds", "note", "calls"]
    rows: list[dict[str, Any]] = block.select(columns).to_pylist()
    for row, count, heard in zip(rows, pages, seconds, strict=True):
        row["failures"] = [{name: failure[name] for name in ("task", "category")} for failure in row["failures"]]
        row |= {"pages": count, "audio_seconds": heard, "answered": row["part_id"] in answered}
    return rows


def _without_read_soft_tokens(rows: pa.Table, parts: pa.ChunkedArray) -> pa.Table:
    """Soft tokens stay only where an answer is still to come: an asset of several parts is answered from the tables."""
    at = rows.schema.get_field_index("soft_tokens")
    later = zip(rows["soft_tokens"].to_pylist(), parts.to_pylist(), strict=True)
    column = pa.array([soft if several > 1 else None for soft, several in later], rows.schema.field(at).type)
    return rows.set_column(at, rows.schema.field(at), column)


PROGRESS = pa.schema(
    {
        "part_id": pa.string(),
        "uri": pa.string(),
        "status": pa.string(),
        "units": pa.float64(),
        "pages": pa.int32(),
        "audio_seconds": pa.float64(),
        "failures": pa.list_(pa.struct({"task": pa.string(), "category": pa.string()})),
        "answered": pa.bool_(),
        "seconds": PARTS.field("seconds").type,
        "note": pa.string(),
        "calls": _CALLS,
    }
)
