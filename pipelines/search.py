"""`interlace search`: finds words and phrases in what was read, and says where they stand."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from encoders.failures import InterlaceError
from pipelines.storage import Storage
from pipelines.tables import read_batches, read_table

CONTEXT_WORDS = 8  # of context on either side of a hit
BATCH_ROWS = 32  # a part holds up to 32 pages of words
# Scripts that are written without spaces: every sign is a token, so that a phrase is found inside a run of them.
_UNSPACED = "\u0e00-\u0edf\u1000-\u109f\u1780-\u17ff\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")
_HYPHEN = "-\u2010\u00ad"


@dataclass(frozen=True, slots=True)
class Hit:
    """A place where the words stand: on a page (``quads``, one a line, in page pixels) or in a recording."""

    uri: str
    part_id: str
    text: str  # as printed or spoken
    before: str
    after: str
    confidence: float  # of the least certain word
    page: int | None = None
    quads: tuple[tuple[float, ...], ...] = ()
    start: float | None = None  # seconds from the start of the recording
    end: float | None = None
    speaker: str | None = None


@dataclass(slots=True)
class _Unit:
    """A word as printed or spoken, and its tokens."""

    text: str
    tokens: list[str]
    confidence: float
    line: int = 0
    quad: Sequence[float] = ()
    start: float | None = None
    end: float | None = None
    speaker: str | None = None


@dataclass(slots=True)
class _Query:
    """The tokens to find in a row; the last may be the beginning of a word."""

    tokens: list[str]
    prefix: bool
    patterns: list[str] = field(default_factory=list)


def search(out: str | Storage, text: str, *, limit: int | None = None) -> Iterator[Hit]:
    """Hits of a word or phrase, in table order, at most ``limit`` of them.

    Case, accents and punctuation do not count; a phrase may run over line ends and over words that a line end
    hyphenates, and headers and footers are searched too. ``text`` ending in ``*`` finds words that begin so.
    Raises InterlaceError when OUT holds no tables or the text has no letter or digit.
    """
    query = _parse(text)
    read_table(out, "assets")  # raises when nothing was ever written there
    columns = ["uri", "part_id", "pages", "speech"]
    scan = read_batches(out, "parts", columns=columns, batch_size=BATCH_ROWS, batch_readahead=2, fragment_readahead=1)
    hits = (hit for batch in scan for hit in _hits(batch, query))
    yield from itertools.islice(hits, limit)


def fold(text: str) -> str:
    """Text without case, accents and compatibility forms: what two spellings of a word have in common."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in decomposed if unicodedata.category(sign) != "Mn").casefold()


def tokens_of(text: str) -> list[str]:
    """The folded words of a text; single signs in scripts that use no spaces."""
    return _TOKEN.findall(fold(text))


def _parse(text: str) -> _Query:
    tokens = tokens_of(text)
    if not tokens:
        raise InterlaceError(f"nothing to search for in {text!r}: give a word or a phrase")
    query = _Query(tokens, prefix=text.rstrip().endswith("*"))
    for token in tokens:
        # A line may show the word whole, or end in the first letters of it and a hyphen.
        heads = "|".join(re.escape(token[:size]) for size in range(1, len(token)))
        query.patterns.append(re.escape(token) + (f"|({heads})[{_HYPHEN}]\\s*$" if heads else ""))
    return query


def _hits(batch: pa.RecordBatch, query: _Query) -> Iterator[Hit]:
    """Hits of a batch of `parts`. Only the pages and transcripts that hold every token leave Arrow."""
    uris, ids = batch["uri"], batch["part_id"]
    pages = pc.list_flatten(batch["pages"])
    lines = pc.struct_field(pages, "lines")
    held = _holding(pc.struct_field(pc.list_flatten(lines), "text"), pc.list_parent_indices(lines), len(pages), query)
    rows = pc.list_parent_indices(batch["pages"]).take(held).to_pylist()
    numbers = pc.struct_field(pages, "page").take(held).to_pylist()
    for row, page, page_lines in zip(rows, numbers, lines.take(held).to_pylist(), strict=True):
        units = list(_page_units(page_lines))
        for first, last in _matches(units, query):
            quads = tuple(_line_quads(units[first : last + 1]))
            yield _hit(uris[row].as_py(), ids[row].as_py(), units, first, last, page=page, quads=quads)
    chunks = pc.struct_field(batch["speech"], "chunks")
    spoken = pc.struct_field(pc.list_flatten(chunks), "text")
    held = _holding(spoken, pc.list_parent_indices(chunks), batch.num_rows, query)
    for row, row_chunks in zip(held.to_pylist(), chunks.take(held).to_pylist(), strict=True):
        units = list(_speech_units(row_chunks))
        for first, last in _matches(units, query):
            start, end, speaker = units[first].start, units[last].end, units[first].speaker
            where = {"start": start, "end": end, "speaker": speaker}
            yield _hit(uris[row].as_py(), ids[row].as_py(), units, first, last, **where)


def _holding(texts: pa.Array, owners: pa.Array, count: int, query: _Query) -> pa.Array:
    """Numbers of the owners (0 to ``count`` - 1) among whose texts every token stands somewhere."""
    plain = _folded(texts)
    numbers = pa.array(range(count), pa.int64())
    held = pa.array([True] * count, pa.bool_())
    for pattern in query.patterns:
        found = owners.filter(pc.fill_null(pc.match_substring_regex(plain, pattern), False))
        held = pc.and_(held, pc.is_in(numbers, pc.unique(found)))
    return pc.indices_nonzero(held)


def _folded(texts: pa.Array) -> pa.Array:
    """`fold` on an Arrow array, near enough to be wrong only on the side of keeping a row."""
    plain = pc.replace_substring_regex(pc.utf8_normalize(texts, form="NFKD"), r"\p{Mn}+", "")
    lower = pc.utf8_lower(plain)
    for upper_only, folded in (("ß", "ss"), ("ς", "σ")):
        lower = pc.replace_substring(lower, upper_only, folded)
    return lower


def _hit(uri: str, part_id: str, units: Sequence[_Unit], first: int, last: int, **where: Any) -> Hit:
    before, inside, after = units[max(0, first - CONTEXT_WORDS) : first], units[first : last + 1], units[last + 1 :]
    return Hit(
        uri,
        part_id,
        _joined(inside),
        _joined(before),
        _joined(after[:CONTEXT_WORDS]),
        round(min(unit.confidence for unit in inside), 4),
        **where,
    )


def _page_units(lines: Sequence[dict[str, Any]] | None) -> Iterator[_Unit]:
    for number, line in enumerate(lines or ()):
        words = line["words"] or [line]  # a line without words is found as a whole
        for word in words:
            text = word["text"] or ""
            yield _Unit(text, tokens_of(text), word["confidence"] or 0.0, number, word["quad"] or ())


def _speech_units(chunks: Sequence[dict[str, Any]] | None) -> Iterator[_Unit]:
    for number, chunk in enumerate(chunks or ()):
        for word in chunk["words"] or [chunk]:
            text = (word["text"] or "").strip()
            times = {"start": word["start"], "end": word["end"], "speaker": word["speaker"]}
            yield _Unit(text, tokens_of(text), word["confidence"] or 0.0, number, **times)


def _matches(units: Sequence[_Unit], query: _Query) -> Iterator[tuple[int, int]]:
    """First and last unit of every match, without overlaps."""
    stream = [(token, number) for number, unit in enumerate(units) for token in unit.tokens]
    position = 0
    while position < len(stream):
        stop = _match(stream, units, position, query, 0)
        if stop is None:
            position += 1
            continue
        yield stream[position][1], stream[stop - 1][1]
        position = stop


def _match(
    stream: Sequence[tuple[str, int]], units: Sequence[_Unit], position: int, query: _Query, index: int
) -> int | None:
    """Where the match of ``query.tokens[index:]`` that starts at ``position`` stops; None when there is none."""
    if index == len(query.tokens):
        return position
    if position >= len(stream):
        return None
    wanted = query.tokens[index]
    open_ended = query.prefix and index == len(query.tokens) - 1
    token = stream[position][0]
    readings = [(token, position + 1)]
    if _broken_after(stream, units, position):
        readings.append((token + stream[position + 1][0], position + 2))
    for reading, following in readings:
        if reading == wanted or (open_ended and reading.startswith(wanted)):
            stop = _match(stream, units, following, query, index + 1)
            if stop is not None:
                return stop
    return None


def _broken_after(stream: Sequence[tuple[str, int]], units: Sequence[_Unit], position: int) -> bool:
    """Whether the token ends its line in a hyphen, so that the next line goes on with the same word."""
    if position + 1 >= len(stream):
        return False
    number, following = stream[position][1], stream[position + 1][1]
    ends = units[number].text.rstrip()[-1:]
    return following == number + 1 and units[following].line > units[number].line and ends in _HYPHEN and bool(ends)


def _line_quads(units: Sequence[_Unit]) -> Iterator[tuple[float, ...]]:
    """One quad a line: from the left end of the first word to the right end of the last."""
    lines: dict[int, list[Sequence[float]]] = {}
    for unit in units:
        if len(unit.quad) == 8:
            lines.setdefault(unit.line, []).append(unit.quad)
    for quads in lines.values():
        first, last = quads[0], quads[-1]
        corners = (*first[0:2], *last[2:6], *first[6:8])
        yield tuple(round(value, 1) for value in corners)


def _joined(units: Sequence[_Unit]) -> str:
    text = ""
    for unit in units:
        glued = text and re.search(f"[{_UNSPACED}]$", text) and re.match(f"[{_UNSPACED}]", unit.text)
        text += unit.text if not text or glued else f" {unit.text}"
    return text
