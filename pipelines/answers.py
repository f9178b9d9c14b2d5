"""Answering: in the stream for assets of one part, and afterwards for whatever still has no answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import groupby, islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cluster.decoder_app import DecoderHandle
from cluster.pools import PoolPlan
from decoder.answer import Answer, Answerer, AnswerTask
from decoder.precontext import Precontext
from decoder.sequence import DecoderError, Generation, SequenceRequest
from encoders.adapters.soft import SoftTokens
from encoders.failures import Failure, FailureCategory
from encoders.memory import collect_seldom, keep_memory
from encoders.results import DocumentResult, Page, Speech
from encoders.speech.matching import match_speakers
from encoders.tracing import Trace
from pipelines.question import Question
from pipelines.rows import detection_of, page_of, speech_of
from pipelines.shards import Shards
from pipelines.soft_tokens import soft_of
from pipelines.stages import STREAM, RunContext, pack_table, unpack_table
from pipelines.storage import Storage, told
from pipelines.tables import ANSWERS, ASSETS, PARTS, read_columns, read_table, rows_to_table

CALLS = 4  # batches under way at the decoder: the next is prepared while one is written
BATCH_ASSETS = 16
CORES_AN_ASKER, MOST_ASKERS = 3, 8
DETECTED = {"object_detection": "objects", "gui_detection": "gui_elements"}  # task to column of `parts`


def askers(plan: PoolPlan) -> int:
    """Actors that ask: one is enough for a decoder on cores. A page takes about 20 ms of one thread for its prompt,
    evidence and rows, so one keeps up with 50 pages a second, and a card reads and answers more."""
    if plan.decoder is None or plan.decoder.device == "cpu":
        return 1
    return max(1, min(MOST_ASKERS, int(plan.resources.cpus // CORES_AN_ASKER)))


class AnswerStage:
    """Answers the rows of a block that are whole assets; the others pass through."""

    def __init__(self, question: Question, decoder: DecoderHandle, context: RunContext) -> None:
        self._asker, self._context = Asker(question, decoder, context.run_id), context
        collect_seldom()
        keep_memory()

    def __call__(self, block: pa.Table) -> pa.Table:
        """A packed batch to the same batch, with `answer` filled where there is one."""
        parts = unpack_table(block)
        rows = parts.to_pylist()
        asked = [row for row in rows if row["parts"] == 1 and row["status"] != "failed"]
        spans = self._context.traced(asked, "answer")
        answers = self._asker.ask([[row] for row in asked], [opened.trace for opened in spans])
        for row, answer, opened in zip(asked, answers, spans, strict=True):
            row["answer"] = answer
            opened.end(confidence=answer["confidence"])
        # Pages, lines and words stay as they came: to make them of rows again takes as long as it took to make rows.
        at = parts.schema.get_field_index("answer")
        given = pa.array([row["answer"] for row in rows], STREAM.field("answer").type)
        return pack_table(parts.set_column(at, STREAM.field("answer"), given))


class Asker:
    """Prepares prompts here, sends them to the decoder in one call, and turns what it wrote into rows of `answers`."""

    def __init__(self, question: Question, decoder: DecoderHandle, run_id: str) -> None:
        self._question, self._decoder, self._run_id = question, decoder, run_id
        self._answerer = Answerer(question.config)
        self._answerer.fusion.load()

    def ask(self, assets: Sequence[Sequence[dict[str, Any]]], traces: Sequence[Trace] = ()) -> list[dict[str, Any]]:
        """One answer row per asset, given as its rows of `parts` in order of range. ``traces``: for each asset, where
        the decoder's span belongs."""
        tasks = [self._task(parts) for parts in assets]
        prepared = [self._answerer.prepare(task) for task in tasks]
        requests = [item.request for item in prepared if item.request is not None]
        asked = [trace for trace, item in zip(traces, prepared) if item.request is not None] if any(traces) else []
        generations, failure = self._generate(requests, asked)
        written = iter(generations)
        rows = []
        for parts, item in zip(assets, prepared, strict=True):
            generation = next(written, None) if item.request is not None else None
            answer = self._answerer.finish(item, generation)
            failures = answer.failures or ((failure,) if failure and item.request is not None else ())
            rows.append(self._row(parts[0], answer, failures))
        return rows

    def _generate(
        self, requests: list[SequenceRequest], traces: list[Trace]
    ) -> tuple[list[Generation], Failure | None]:
        try:
            return self._decoder.generate(requests, traces), None
        except TimeoutError as error:
            return [], Failure(FailureCategory.TIMED_OUT, "answer", str(error))
        except DecoderError as error:
            return [], Failure(FailureCategory.MODEL_FAILED, "answer", str(error))

    def _task(self, parts: Sequence[dict[str, Any]]) -> AnswerTask:
        precontext = precontext_of(parts, self._question.adapters)
        return AnswerTask(parts[0]["uri"], self._question.prompt, self._question.schema, precontext)

    def _row(self, part: dict[str, Any], answer: Answer, failures: Iterable[Failure]) -> dict[str, Any]:
        return {
            "uri": part["uri"],
            "etag": part["etag"],
            "answer_fingerprint": self._question.fingerprint,
            "question": self._question.prompt,
            "answer": answer.text,
            "confidence": answer.confidence,
            "evidence": [asdict(item) for item in answer.evidence],
            "leaves": [asdict(leaf) | {"value": json.dumps(leaf.value)} for leaf in answer.leaves],
            "truncated": answer.truncated,
            "note": answer.note,
            "precontext": list(answer.precontext),
            "failures": [asdict(failure) for failure in failures],
            "run_id": self._run_id,
        }


def precontext_of(parts: Sequence[dict[str, Any]], adapters: Mapping[str, str] | None = None) -> tuple[Precontext, ...]:
    """What the specialists read in an asset, from its rows of `parts`; voices carry one label over all of them. Soft
    tokens of other adapters than those of the given digests are left out."""

    def soft(row: dict[str, Any], task: str) -> SoftTokens | None:  # reading text alone does not ask for the column
        return soft_of(row.get("soft_tokens"), task, (adapters or {}).get(task))

    found: list[Precontext] = []
    spoken = [(row, speech_of(row["speech"])) for row in parts if row["speech"]]
    matched: Sequence[Speech] = match_speakers([speech for _, speech in spoken])
    for row in parts:
        seen = {name: row[column] for name, column in DETECTED.items() if row[column] is not None}
        pages = tuple(page_of(page) for page in row["pages"] or ())
        if any(page.text for page in pages) or (pages and not seen):  # detectors leave pages without text
            found.append(Precontext("ocr", DocumentResult(pages), row["part_id"], soft(row, "ocr"), row["uri"]))
        for name, items in seen.items():
            things = tuple(map(detection_of, items))
            shown = tuple(map(_as_shown, pages))
            found.append(Precontext(name, things, row["part_id"], soft(row, name), row["uri"], shown))
    for (row, _), speech in zip(spoken, matched, strict=True):
        found.append(Precontext("speech_to_text", speech, row["part_id"], soft(row, "speech_to_text"), row["uri"]))
    return tuple(found)


def _as_shown(page: Page) -> Page:
    """A page's size before OCR turned it: detectors look at pages as the file shows them."""
    return replace(page, width=page.height, height=page.width) if page.rotation % 180 else page


def unanswered(storage: Storage, question: Question, listed: Iterable[pa.Table]) -> set[str]:
    """Assets of these tables that were read and have no answer of this fingerprint to their present version."""
    version = pa.schema([ASSETS.field(name) for name in ("uri", "etag")])
    shards = Shards({"listed": version.remove(1), "read": version, "answered": version})
    for rows in listed:
        shards.add("listed", rows)
    for rows in read_columns(storage, "assets", ["uri", "etag", "status"]):
        shards.add("read", rows.filter(pc.not_equal(rows["status"], "failed")).select(version.names))
    for rows in read_columns(storage, "answers", ["uri", "etag", "answer_fingerprint"]):
        asked = pc.equal(rows["answer_fingerprint"], question.fingerprint)
        shards.add("answered", rows.filter(asked).select(version.names))
    missing: set[str] = set()
    for shard in shards:
        read = shard["read"].filter(pc.is_in(shard["read"]["uri"], value_set=shard["listed"]["uri"]))
        missing |= {uri for uri, _ in set(_pairs(read)) - set(_pairs(shard["answered"]))}
    return missing


def _pairs(table: pa.Table) -> Iterator[tuple[str, str]]:
    return zip(table["uri"].to_pylist(), table["etag"].to_pylist(), strict=True)


def answer_tables(
    storage: Storage,
    uris: set[str],
    question: Question,
    decoder: DecoderHandle,
    run_id: str,
    note: Callable[[str], None],
) -> Iterator[list[dict[str, Any]]]:
    """Answer assets from what the tables hold, without opening any; yields rows of `answers` as they come, and notes at
    the end how many were read as text because their soft tokens were not kept."""
    asker = Asker(question, decoder, run_id)
    missing = 0
    assets = whole_assets(storage, uris, soft=question.config.mode != "text")
    with ThreadPoolExecutor(CALLS) as pool:
        while window := list(islice(assets, BATCH_ASSETS * CALLS)):
            missing += sum(_lacks_soft(parts, question.adapters) for parts in window)
            batches = [window[start : start + BATCH_ASSETS] for start in range(0, len(window), BATCH_ASSETS)]
            yield from pool.map(asker.ask, batches)
    if missing:
        note(
            f"{missing} assets were answered from their text alone: the tables hold no soft tokens of these adapters; "
            "interlace run --keep-soft-tokens reads them again and stores them"
        )


def _lacks_soft(parts: Sequence[dict[str, Any]], adapters: Mapping[str, str]) -> bool:
    """Whether a specialist's soft tokens are to be read in an asset and the tables have none of them."""
    columns = {"ocr": "pages", "speech_to_text": "speech", **DETECTED}
    return any(
        part[columns[task]] and soft_of(part["soft_tokens"], task, digest) is None
        for part in parts
        for task, digest in adapters.items()
    )


def whole_assets(storage: Storage, uris: set[str], *, soft: bool = False) -> Iterator[list[dict[str, Any]]]:
    """The rows of `parts` of each asset, in order of range, with their soft tokens when asked for; memory holds a few
    assets at a time."""
    columns = ["part_id", "uri", "etag", "range_start", "pages", "speech", *DETECTED.values()]
    columns += ["soft_tokens"] if soft else []
    parts = read_table(storage, "parts")
    todo = iter(sorted(uris))
    while some := list(islice(todo, BATCH_ASSETS)):
        chosen = pc.field("uri").isin(pa.array(some, pa.string()))
        with told("read", storage.table_uri("parts")):
            rows = parts.to_table(columns=columns, filter=chosen).to_pylist()
        rows.sort(key=lambda row: (row["uri"], row["range_start"] or 0))
        for _, group in groupby(rows, key=lambda row: row["uri"]):
            yield list(group)


def answer_files(rows: list[dict[str, Any]]) -> dict[str, pa.Table]:
    """Answers alone, as `RunFiles.commit` takes them."""
    return {"parts": PARTS.empty_table(), "answers": rows_to_table(rows, ANSWERS)}
