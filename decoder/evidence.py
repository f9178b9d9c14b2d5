"""Where a value was read: aligning what the decoder wrote with the words that the specialists read."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from decoder.precontext import Precontext
from decoder.relevance import terms
from decoder.values import amounts, dates
from encoders.layout.page_text import MARGINS
from encoders.results import DocumentResult, Page, Quad, Speech, extent, quad

_FUZZY = 0.8  # least similarity of a passage that is taken for a misread value
_FUZZY_LENGTH = 5  # characters; shorter values must match exactly
_FUZZY_LONGEST = 200  # characters; longer texts are traced by the words they quote
_COMMON = 200  # places; a word with more says nothing about where a value stands
_AMOUNT_WORDS, _DATE_WORDS = 3, 4  # longest ways to write them: RM 1 234.50, 14 of March 2021
_WITHIN_LENGTH = 2  # characters of a value that is looked for inside words
_FIRST_IDEOGRAPH = 0x2E7F
_RUN = 2  # words of an answer that count as quoted when they stand together in the input
_PLACES = 3  # most places that are given for one free-text answer


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line of a page, or stretch of a recording, where (part of) a value was read.

    ``path`` is the JSON pointer of the leaf, "" for a text answer. Pages have a quad in page pixels (none when the
    page has no boxes), recordings start and end in seconds. ``confidence`` is the specialist's, times how alike
    the value and the words are.
    """

    path: str
    value: str  # the words as they were read
    part_id: str
    page: int | None
    quad: Quad | None
    start: float | None
    end: float | None
    speaker: str | None
    confidence: float


@dataclass(slots=True)
class _Seen:
    """One word of the input. ``row`` numbers its line, page or chunk, in reading order."""

    text: str
    key: str
    confidence: float
    part_id: str
    row: int = 0
    page: int | None = None
    quad: Quad | None = None
    start: float | None = None
    end: float | None = None
    speaker: str | None = None


@dataclass(slots=True)
class _Match:
    start: int
    stop: int
    similarity: float


@dataclass(slots=True)
class EvidenceIndex:
    """The words of an asset's precontext, ready to be searched many times."""

    words: list[_Seen] = field(default_factory=list)
    _places: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _rows: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    _found: dict[tuple[str, str, str], tuple[Evidence, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, precontext: Sequence[Precontext]) -> EvidenceIndex:
        """Index every word of pages and recordings; objects have no words.

        Running headers, footers and page numbers come after everything else, so that a text goes on from page to page.
        """
        index = cls()
        row = 0
        for margins in (False, True):
            for words in (words for entry in precontext for words in _rows_of(entry, margins)):
                row += 1
                for word in words:
                    word.row = row
                    index._places[word.key].append(len(index.words))
                    index._rows[row].append(len(index.words))
                    index.words.append(word)
        return index

    def find(self, value: str, path: str = "", about: str = "") -> tuple[Evidence, ...]:
        """Where the value stands as a whole: exactly (case, accents' form and outer punctuation aside), else nearly.

        Of several places the one with most words of ``about`` (the question, the field's name) on its line or the
        line before, then the one read most surely, then the first. Empty when there is none.
        """
        asked = value, path, about  # the same again and again, as for a text and how sure it is
        if asked not in self._found:
            self._found[asked] = self._find(value, path, about)
        return self._found[asked]

    def _find(self, value: str, path: str, about: str) -> tuple[Evidence, ...]:
        keys = [key for key in map(normalised, value.split()) if key]
        if not keys:
            return ()
        matches = self._exact(keys) or self._same_value(value) or self._within(value) or self._nearly(keys)
        if not matches:
            return ()
        wanted = set(terms(about))
        best = max(matches, key=lambda match: (match.similarity, self._nearness(match, wanted), self._sure(match)))
        return self._evidence(best, path)

    def quoted(self, text: str, about: str = "") -> tuple[Evidence, ...]:
        """Where a free-text answer was read: as a whole, else its longest runs of words that stand in the input.

        A run counts when it is a number or two words long or longer, and says more than the question does.
        """
        if whole := self.find(text, "", about):
            return whole
        raw = [word for word in text.split() if normalised(word)]
        asked = set(terms(about))
        runs: list[tuple[int, tuple[Evidence, ...]]] = []
        start = 0
        while start < len(raw):
            stop = start
            while stop < len(raw) and self._exact([normalised(word) for word in raw[start : stop + 1]]):
                stop += 1
            run = raw[start:stop]
            if run and self._says_something(run, asked):
                runs.append((len(run), self.find(" ".join(run), "", about)))
            start = max(stop, start + 1)
        runs.sort(key=lambda run: -run[0])
        return tuple(place for _, places in runs[:_PLACES] for place in places)

    def _says_something(self, run: Sequence[str], asked: set[str]) -> bool:
        new = [term for term in terms(" ".join(run)) if term not in asked]
        return bool(new) and (len(run) >= _RUN or any(character.isdigit() for character in run[0]))

    def _exact(self, keys: Sequence[str]) -> list[_Match]:
        found = []
        for start in self._places.get(keys[0], ()):
            stop = start + len(keys)
            if [word.key for word in self.words[start:stop]] == list(keys):
                found.append(_Match(start, stop, 1.0))
        return found

    def _same_value(self, value: str) -> list[_Match]:
        """Stretches that mean the same amount or date, however they are written: RM1,234.50 for 1234.5."""
        meant: tuple[tuple[frozenset[object], Callable[[str], frozenset[object]], int], ...] = (
            (frozenset(amounts(value)), lambda text: frozenset(amounts(text)), _AMOUNT_WORDS),
            (frozenset(dates(value)), lambda text: frozenset(dates(text)), _DATE_WORDS),
        )
        found = []
        for sought, read, most in meant:
            if not sought:
                continue
            for start, word in enumerate(self.words):
                if not any(character.isdigit() for character in word.text) and read is meant[0][1]:
                    continue
                for stop in range(start + 1, min(start + most, len(self.words)) + 1):
                    text = " ".join(word.text for word in self.words[start:stop])
                    if sought & read(text):
                        found.append(_Match(start, stop, 1.0))
                        break
        begins = {
            match.stop: match.start for match in found
        }  # the last start, and so the shortest stretch, of each end
        return [_Match(start, stop, 1.0) for stop, start in begins.items()]

    def _within(self, value: str) -> list[_Match]:
        """Words that hold the value between other signs (No.7731 for 7731), or anywhere in scripts without spaces."""
        sought = normalised(value)
        if len(sought) < _WITHIN_LENGTH or " " in sought:
            return []
        before, after = r"(?<![^\W_])", r"(?![^\W_])"
        if sought.isdigit():  # letters may stand beside a number, but it must not be part of another
            before, after = r"(?<!\d)(?<!\d[.,])", r"(?![.,]?\d)"
        elif ord(max(sought)) > _FIRST_IDEOGRAPH:
            before = after = ""
        pattern = re.compile(before + re.escape(sought) + after)
        return [_Match(i, i + 1, 1.0) for i, word in enumerate(self.words) if pattern.search(word.key)]

    def _nearly(self, keys: Sequence[str]) -> list[_Match]:
        """Stretches of about as many words whose characters are nearly the same; for misread letters and spaces.

        Looked for only where it can be: a slip rarely hits every word, nor both ends of one.
        """
        target = "".join(keys)
        if not _FUZZY_LENGTH <= len(target) <= _FUZZY_LONGEST:
            return []
        matcher = SequenceMatcher(autojunk=False)
        matcher.set_seq2(target)
        digits, found, best = _digits(target), list[_Match](), _FUZZY
        for start in self._starts(keys):
            text, stop = "", start
            while stop < len(self.words) and len(text) < 1.25 * len(target):
                text += self.words[stop].key
                stop += 1
                alike = text[:2] == target[:2] or text[-2:] == target[-2:]
                if not alike or not 0.75 <= len(text) / len(target) <= 1.25 or _digits(text) != digits:
                    continue
                matcher.set_seq1(text)
                if matcher.quick_ratio() >= best and (ratio := matcher.ratio()) >= best:
                    best = ratio
                    found.append(_Match(start, stop, ratio))
        return found

    def _starts(self, keys: Sequence[str]) -> Sequence[int]:
        """Where a nearly equal stretch may begin: anywhere for one or two words, else near one that is the same."""
        if len(keys) <= 2:
            return range(len(self.words))
        near = {
            place - offset + shift
            for offset, key in enumerate(keys)
            if len(places := self._places.get(key, [])) <= _COMMON
            for place in places
            for shift in (-1, 0, 1)
        }
        return sorted(start for start in near if 0 <= start < len(self.words))

    def _nearness(self, match: _Match, wanted: set[str]) -> int:
        if not wanted:
            return 0
        row = self.words[match.start].row
        here = {term for i in self._rows[row] for term in terms(self.words[i].text)}
        before = {term for i in self._rows.get(row - 1, ()) for term in terms(self.words[i].text)}
        return 2 * len(wanted & here) + len(wanted & before)

    def _sure(self, match: _Match) -> float:
        words = self.words[match.start : match.stop]
        return sum(word.confidence for word in words) / len(words)

    def _evidence(self, match: _Match, path: str) -> tuple[Evidence, ...]:
        """One piece of evidence for every line that the match touches."""
        rows: dict[int, list[_Seen]] = defaultdict(list)
        for word in self.words[match.start : match.stop]:
            rows[word.row].append(word)
        return tuple(
            Evidence(
                path=path,
                value=" ".join(word.text for word in words),
                part_id=words[0].part_id,
                page=words[0].page,
                quad=_around([word.quad for word in words]),
                start=words[0].start,
                end=words[-1].end,
                speaker=words[0].speaker,
                confidence=match.similarity * sum(word.confidence for word in words) / len(words),
            )
            for words in rows.values()
        )


def normalised(word: str) -> str:
    """A word as it is compared: compatibility form, lower case, without punctuation at its ends."""
    if word.isascii():  # the same, several times as fast
        return word.lower().strip(_OUTER_ASCII)
    return unicodedata.normalize("NFKC", word).casefold().strip(_OUTER)


_OUTER = "".join(chr(c) for c in range(0x20, 0x3000) if unicodedata.category(chr(c))[0] in "PSZ")
_OUTER_ASCII = "".join(filter(str.isascii, _OUTER))


def _digits(text: str) -> str:
    """A misread letter is a slip; another digit is another value."""
    return re.sub(r"\D", "", text)


def _around(quads: Sequence[Quad | None]) -> Quad | None:
    """The quad of words of one line: theirs when there is one, else the box around them."""
    known = [corners for corners in quads if corners is not None]
    if not known:
        return None
    if len(known) == 1:
        return known[0]
    edges = [extent(corners) for corners in known]
    return quad(min(e[0] for e in edges), min(e[1] for e in edges), max(e[2] for e in edges), max(e[3] for e in edges))


def _rows_of(entry: Precontext, margins: bool) -> Iterator[list[_Seen]]:
    """The words of an entry, line by line: those of its pages' margins, or all others."""
    if isinstance(entry.result, DocumentResult):
        for page in entry.result.pages:
            yield from _page_rows(page, entry.part_id, margins)
    elif isinstance(entry.result, Speech) and not margins:
        for chunk in entry.result.chunks:
            spoken = [(w.text, w.start, w.end, w.confidence, w.speaker or chunk.speaker) for w in chunk.words] or [
                (text, chunk.start, chunk.end, chunk.confidence, chunk.speaker) for text in chunk.text.split()
            ]
            yield [
                _Seen(text, normalised(text), sure, entry.part_id, start=start, end=end, speaker=speaker)
                for text, start, end, sure, speaker in spoken
                if normalised(text)
            ]


def _page_rows(page: Page, part_id: str, margins: bool) -> Iterator[list[_Seen]]:
    if not page.lines and not margins:
        for text in page.text.splitlines():
            keyed = [(t, normalised(t)) for t in text.split()]
            yield [_Seen(t, key, 1.0, part_id, page=page.page) for t, key in keyed if key]
    for line in page.lines:
        if (line.role in MARGINS) is margins:
            printed = [(word.text, word.quad, word.confidence) for word in line.words]
            found = printed or [(text, line.quad, line.confidence) for text in line.text.split()]
            keyed_words = [(t, normalised(t), q, c) for t, q, c in found]
            yield [_Seen(t, key, c, part_id, page=page.page, quad=q) for t, key, q, c in keyed_words if key]
