"""`interlace export`: one file per asset, as Markdown, JSON lines or SRT subtitles."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from encoders.layout import markdown
from encoders.results import Chunk
from pipelines.records import AssetRecord, read_records
from pipelines.search_output import clock
from pipelines.storage import Storage
from pipelines.subtitles import subtitles
from pipelines.tables import read_rows

NAME_BYTES = 180  # of one name on the way; file systems take 255, and suffix and hash come on top
PAUSE = 2.0  # seconds of silence that begin a new paragraph of the same speaker
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


class ExportFormat(StrEnum):
    """What one asset is written as."""

    MARKDOWN = "markdown"
    JSONL = "jsonl"
    SRT = "srt"

    @property
    def suffix(self) -> str:
        """The end of a file's name."""
        return {"markdown": ".md", "jsonl": ".jsonl", "srt": ".srt"}[self.value]


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote, and what it had nothing to write for."""

    folder: str
    written: int
    skipped: Counter[str]  # reason -> assets


def export(
    out: str | Storage, folder: str, kind: ExportFormat, *, progress: Callable[[int], None] | None = None
) -> ExportSummary:
    """Write one file per asset below ``folder`` (a path or s3:// prefix), named after the asset's place in its source.

    Files are replaced whole. Markdown and SRT leave out assets with nothing to say; JSON lines has a file for every
    asset, with its failures. Raises InterlaceError when OUT holds no tables.
    """
    names = file_names(read_rows(out, "assets", columns=["uri"])["uri"].to_pylist())
    target = Storage(folder)
    write = {ExportFormat.MARKDOWN: to_markdown, ExportFormat.JSONL: to_jsonl, ExportFormat.SRT: to_srt}[kind]
    written, skipped = 0, Counter[str]()
    for record in read_records(out):
        text = write(record)
        if text is None:
            skipped[_reason(record, kind)] += 1
            continue
        target.write_bytes(target.path(names[record.uri] + kind.suffix), text.encode())
        written += 1
        if progress is not None:
            progress(written)
    return ExportSummary(target.out, written, skipped)


def _reason(record: AssetRecord, kind: ExportFormat) -> str:
    if record.status == "failed":
        return "failed"
    return "not a recording" if kind is ExportFormat.SRT and record.speech is None else "nothing was read in it"


# -- names ------------------------------------------------------------------------------------------------------------
def file_names(uris: Sequence[str]) -> dict[str, str]:
    """uri -> relative path, without the format's suffix: the folders below what all uris have in common.

    Safe on any file system: no control or reserved characters, no name that differs only in case from another, and
    none too long; names that collide carry a hash of their uri.
    """
    parts = {uri: [piece for piece in uri.split("/") if piece] for uri in uris}
    shared = _shared_folders(list(parts.values()))
    names = {uri: "/".join(_safe(piece) for piece in pieces[shared:]) for uri, pieces in parts.items()}
    taken = Counter(name.casefold() for name in names.values())
    folders = {
        str(parent).casefold()
        for name in names.values()
        for kind in ExportFormat
        for parent in PurePosixPath(name).parents
        if str(parent).casefold().endswith(kind.suffix)
    }
    for uri, name in names.items():
        clash = any(name.casefold() + kind.suffix in folders for kind in ExportFormat)
        if clash or taken[name.casefold()] > 1:
            names[uri] = f"{name}-{_hash(uri)}"
    return names


def _shared_folders(paths: Sequence[list[str]]) -> int:
    """How many leading folders all paths share."""
    if not paths:
        return 0
    low, high = min(paths), max(paths)
    count = 0
    while count < min(len(low), len(high)) - 1 and low[count] == high[count]:
        count += 1
    return count


def _safe(name: str) -> str:
    """One name on the way that any file system takes."""
    plain = unicodedata.normalize("NFC", name)
    safe = "".join("_" if sign in '<>:"\\|?*' or not sign.isprintable() else sign for sign in plain)
    safe = safe.rstrip(". ") or "_"
    if safe.startswith(".") or safe.partition(".")[0].casefold() in _RESERVED:
        safe = f"_{safe}"
    if len(safe.encode()) > NAME_BYTES:
        safe = safe.encode()[:NAME_BYTES].decode("utf-8", "ignore")
    return safe


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


# -- formats ----------------------------------------------------------------------------------------------------------
def to_markdown(record: AssetRecord) -> str | None:
    """What an asset says: paragraphs, headings, lists and tables over page edges, or turns by speaker."""
    if record.speech is not None:
        return _turns(record.speech.chunks) or None
    return markdown(record.pages) or None


def _turns(chunks: Sequence[Chunk]) -> str:
    paragraphs: list[tuple[str, list[str]]] = []
    before: Chunk | None = None
    for chunk in chunks:
        if before is None or chunk.speaker != before.speaker or chunk.start - before.end > PAUSE:
            label = f"**{chunk.speaker}** " if chunk.speaker else ""
            paragraphs.append((f"{label}[{clock(chunk.start)}] ", []))
        paragraphs[-1][1].append(chunk.text.strip())
        before = chunk
    return "\n\n".join(head + " ".join(texts) for head, texts in paragraphs) + ("\n" if paragraphs else "")


def to_jsonl(record: AssetRecord) -> str:
    """One line for the asset, then one for every page or chunk."""
    rows: list[dict[str, Any]] = [_asset_row(record)]
    rows += [{"type": "page", **asdict(page)} for page in record.pages]
    if record.speech is not None:
        rows += [{"type": "chunk", **asdict(chunk)} for chunk in record.speech.chunks]
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


def _asset_row(record: AssetRecord) -> dict[str, Any]:
    names = ("uri", "etag", "size", "modified", "media_type", "modality", "status", "answers", "seconds")
    row: dict[str, Any] = {"type": "asset"} | {name: getattr(record, name) for name in names}
    for name in ("failures", "objects", "gui_elements"):
        row[name] = [asdict(item) for item in getattr(record, name)]
    if record.speech is not None:
        speech = asdict(record.speech)
        row["speech"] = {name: speech[name] for name in ("language", "language_confidence", "duration", "speakers")}
    return row


def to_srt(record: AssetRecord) -> str | None:
    """Subtitles with speakers, or None when nothing was said."""
    return subtitles(record.speech.chunks) or None if record.speech is not None else None
