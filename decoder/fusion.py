"""Fusion: the question and everything the specialists read become one sequence of text and soft tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby
from typing import Any

from decoder.config import DecoderConfig
from decoder.passages import Passage, Row, passages
from decoder.precontext import Precontext
from decoder.relevance import choose
from decoder.schema_text import skeleton
from decoder.sequence import DecoderError, Segment, SoftSegment, TextSegment
from encoders.checkpoints.resolve import resolve

PROMPT_VERSION = 9
"""Part of every answer fingerprint: raise it with any change to the texts or the cutting below, or to what a
schema allows."""

SYSTEM = "You answer questions about a document. Answer briefly, with the words of the document."
SCHEMA_SYSTEM = "You extract information from a document as JSON, with the words of the document."
_DOCUMENT = "\u241e"  # stands for the document while the chat template is rendered
_GAP = "[...]"
_PASSAGE_TOKENS = 96  # longer passages are cut at sentences before they are ranked
_LONG = 8  # characters a token from which a text hardly ever fits: its sentences are counted, which tells as well
_MEETING = 4  # tokens that a sentence may save by standing beside the next


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt ready for the engine. ``truncated``: passages were left out, ``read`` of ``total`` are in. As many as
    ``shared`` leading tokens do not depend on the document."""

    segments: tuple[Segment, ...]
    truncated: bool
    read: int
    total: int
    shared: int = 0

    def __len__(self) -> int:
        return sum(len(segment) for segment in self.segments)

    @property
    def note(self) -> str:
        """What a truncated prompt leaves to be said; else ""."""
        if not self.truncated:
            return ""
        return f"read {self.read} of {self.total} passages, chosen by relevance to the question"


class Fusion:
    """Builds prompts for one decoder. `load` reads the tokenizer only, never the model."""

    def __init__(self, config: DecoderConfig) -> None:
        self.config = config
        self._tokenizer: Any = None

    def load(self) -> None:
        """Read the tokenizer of the decoder's checkpoint."""
        if self._tokenizer is None:
            from transformers import AutoTokenizer  # seconds to import; the command line needs only the version above

            self._tokenizer = AutoTokenizer.from_pretrained(resolve(self.config.checkpoint))

    @property
    def tokenizer(self) -> Any:
        """The decoder's tokenizer; loads it on first use."""
        self.load()
        return self._tokenizer

    @cached_property
    def longest_token(self) -> int:
        """Characters of the longest token: no text of more of them fits that many tokens."""
        return max(map(len, self.tokenizer.get_vocab()))

    @property
    def knows_tools(self) -> bool:
        """Whether the decoder was trained to call tools: its chat template then speaks of them."""
        return "tools" in str(self.tokenizer.chat_template)

    def __getstate__(self) -> dict[str, Any]:
        return {"config": self.config, "_tokenizer": None}

    def prompt(self, question: str | None, schema: str | None, precontext: Sequence[Precontext]) -> Prompt:
        """The prompt for a question, a JSON schema (as text), or both. Raises `DecoderError` when there is neither,
        or when the question alone fills the prompt."""
        before, after = self._frame(question, schema)
        budget = self.config.prompt_tokens - len(before) - len(after)
        if budget < 16:
            raise DecoderError(
                f"the question takes {len(before) + len(after)} of the prompt's {self.config.prompt_tokens} tokens and "
                "leaves no room for the document: shorten it or raise prompt_tokens"
            )
        sought = " ".join(filter(None, [question, _schema_words(schema)]))
        return self._filled(before, after, precontext, sought, budget)

    def chat(
        self, messages: Sequence[dict[str, str]], schema: str | None, precontext: Sequence[Precontext], window: int
    ) -> Prompt:
        """The prompt for turns {role, content} of a chat, the last user's among them about the precontext.

        One user turn and nothing else gives the very prompt that `prompt` gives. Turns are never cut; the document
        gets what they leave of prompt_tokens, or a quarter of ``window`` when that is more. Raises `DecoderError` when
        it has no room.
        """
        turns = list(messages)
        last = max((i for i, turn in enumerate(turns) if turn["role"] == "user"), default=None)
        if last is None:  # a system's text alone may be answered too
            last = len(turns)
            turns.append({"role": "user", "content": ""})
        question = turns[last]["content"]
        turns[last] = {"role": "user", "content": _content(question, schema, about_document=bool(precontext))}
        if precontext and turns[0]["role"] != "system":
            turns.insert(0, {"role": "system", "content": SYSTEM if schema is None else SCHEMA_SYSTEM})
        if not precontext:
            text = self._templated(turns)
            system = self._templated(turns[:1], answer=False) if turns[0]["role"] == "system" else ""
            beginning = self._tokens(system) if text.startswith(system) else []
            tokens = beginning + self._tokens(text[len(system) if beginning else 0 :])
            return Prompt((TextSegment.of(tokens),), False, 0, 0, len(beginning))
        before, after = map(self._tokens, self._templated(turns).split(_DOCUMENT, 1))
        frame = len(before) + len(after)
        budget = max(self.config.prompt_tokens - frame, min(window // 4, window - frame))
        if budget < 16:
            raise DecoderError(f"the messages take {frame} tokens and leave no room for the document", "messages")
        sought = " ".join(filter(None, [question, _schema_words(schema)]))
        return self._filled(before, after, precontext, sought, budget)

    def _filled(
        self, before: list[int], after: list[int], precontext: Sequence[Precontext], sought: str, budget: int
    ) -> Prompt:
        """The document between the two, cut to ``budget`` tokens by relevance to ``sought``."""
        most = max(8, min(_PASSAGE_TOKENS, budget // 6))
        split = [piece for passage in passages(precontext) for piece in self._pieces(passage, most)]
        rendered = [self._render(passage) for passage in split]
        gap = self._tokens(_GAP + "\n")
        places = {passage.place: self._tokens(passage.place + ":\n") for passage in split if passage.place}
        lengths = [sum(map(len, segments)) for segments in rendered]
        if (
            sum(lengths) + sum(map(len, places.values())) > budget
        ):  # a chosen passage may need its page's name and a gap
            lengths = [n + len(gap) + len(places.get(p.place, ())) for n, p in zip(lengths, split, strict=True)]
            budget -= len(gap)
        chosen = choose([passage.text for passage in split], lengths, sought, budget, _turns(split))
        segments: list[Segment] = [TextSegment.of(before)]
        last, place = -1, ""
        for index in chosen:
            if index != last + 1:
                segments.append(TextSegment.of(gap))
            if split[index].place and split[index].place != place:
                place = split[index].place
                segments.append(TextSegment.of(places[place]))
            segments += rendered[index]
            last = index
        if chosen and last != len(split) - 1:
            segments.append(TextSegment.of(gap))
        segments.append(TextSegment.of(after))
        return Prompt(tuple(_merged(segments)), len(chosen) < len(split), len(chosen), len(split), len(before))

    def _frame(self, question: str | None, schema: str | None) -> tuple[list[int], list[int]]:
        """Tokens before and after the document."""
        if not question and schema is None:
            raise DecoderError("there is neither a question nor a schema to answer")
        system = SYSTEM if schema is None else SCHEMA_SYSTEM
        turns = [{"role": "system", "content": system}]
        turns.append({"role": "user", "content": _content(question, schema, about_document=True)})
        before, _, after = self._templated(turns).partition(_DOCUMENT)
        return self._tokens(before), self._tokens(after)

    def _templated(self, turns: Sequence[dict[str, str]], *, answer: bool = True) -> str:
        """Turns in the decoder's chat template, with the beginning of its answer."""
        if self.tokenizer.chat_template:
            text: str = self.tokenizer.apply_chat_template(list(turns), add_generation_prompt=answer, tokenize=False)
            return text
        return "\n\n".join(turn["content"] for turn in turns) + ("\nAnswer:" if answer else "")

    def _tokens(self, text: str) -> list[int]:
        return self._encode(text)

    @cached_property
    def _encode(self) -> Callable[[str], list[int]]:
        """The tokenizer within the tokenizer, where there is one: what is around it takes longer than a line."""
        inner = getattr(self.tokenizer, "backend_tokenizer", None)
        if inner is None:
            return partial(self.tokenizer.encode, add_special_tokens=False)
        inner.no_truncation()
        inner.no_padding()
        return lambda text: list(inner.encode(text, add_special_tokens=False).ids)

    def _pieces(self, passage: Passage, most: int) -> Iterator[Passage]:
        """The passage in pieces of about ``most`` tokens, cut between rows where it has soft tokens, else at line or
        sentence ends."""
        if not self._reads_soft(passage):
            yield from self._cut(Row(passage.text), passage, most)
            return
        rows: list[Row] = []
        length = 0
        for row in passage.rows:
            count = sum(map(len, self._render_row(row, passage.task)))
            if rows and length + count > most:
                yield replace(passage, rows=tuple(rows))
                rows, length = [], 0
            rows.append(row)
            length += count
        if len(rows) == 1 and self.config.mode_of(passage.task) == "both":
            yield from self._cut(rows[0], passage, most)
        else:
            yield replace(passage, rows=tuple(rows))

    def _cut(self, row: Row, passage: Passage, most: int) -> Iterator[Passage]:
        """A row whose text is cut at line or sentence ends; head and soft tokens stay with the first piece."""
        long = len(row.text) > _LONG * most
        if not long and (len(row.text) <= most or len(self._tokens(row.text)) <= most):
            yield replace(passage, rows=(row,))
            return
        sentences = [(sentence, len(self._tokens(sentence))) for sentence in self._sentences(row.text, most)]
        least = sum(count - _MEETING for _, count in sentences)  # that all take together
        if long and least <= most and len(self._tokens(row.text)) <= most:
            yield replace(passage, rows=(row,))
            return
        first, piece, length = row, "", 0
        for sentence, count in sentences:
            if piece and length + count > most:
                yield replace(passage, rows=(replace(first, text=piece.strip()),))
                first, piece, length = Row(""), "", 0
            piece, length = piece + sentence, length + count
        if piece.strip():
            yield replace(passage, rows=(replace(first, text=piece.strip()),))

    def _sentences(self, text: str, most: int) -> Iterator[str]:
        """Sentences and lines with the space after them; longer ones cut at spaces, and words at any character."""
        for sentence in re.findall(r".*?(?:\n|[.!?;] +|[。！？；]|$)", text, re.DOTALL):
            words = re.findall(r"\S+\s*", sentence) if len(sentence) > most else [sentence]
            run = ""
            for word in words:
                if len(run) + len(word) > 3 * most and run:
                    yield run
                    run = ""
                run += word
                while len(run) > 6 * most:
                    yield run[: 3 * most]
                    run = run[3 * most :]
            if run:
                yield run

    def _reads_soft(self, passage: Passage) -> bool:
        return passage.soft and self.config.mode_of(passage.task) != "text"

    def _render(self, passage: Passage) -> list[Segment]:
        """A passage in the mode of its task; without soft tokens it is text in every mode."""
        if not self._reads_soft(passage):
            return [self._text(passage.text + "\n")]
        return [segment for row in passage.rows for segment in self._render_row(row, passage.task)]

    def _render_row(self, row: Row, task: str) -> list[Segment]:
        """A row of a passage with soft tokens: head, soft tokens, then its text or nothing, and a line's end. Without
        the text, cells are parted as they are in it."""
        if not row.cells:
            return [self._text(row.printed + "\n")]
        both = self.config.mode_of(task) == "both"
        segments: list[Segment] = [self._text(row.head)] if row.head else []
        for number, cell in enumerate(row.cells):
            if number and not both:
                segments.append(self._text(" |"))
            if not isinstance(cell, str):
                segments.append(SoftSegment(cell))
            elif cell and not both:
                segments.append(self._text(f" {cell}" if number else cell))
        text = f" {row.text}" if row.head else row.text
        return [*segments, self._text(text + "\n" if both else "\n")]

    def _text(self, text: str) -> TextSegment:
        """What was read as a segment; it must not end the user's turn."""
        return TextSegment.of(self._tokens(text.replace("<|", "< |")))


def _turns(split: Sequence[Passage]) -> list[int]:
    """When each of some passages gets its turn among those that match a question alike: in order, but detected things
    that stand behind one another the surest first."""
    turns = list(range(len(split)))
    for detected, run in groupby(range(len(split)), key=lambda index: split[index].confidence is not None):
        if detected:
            own = list(run)
            for turn, index in zip(own, sorted(own, key=lambda index: -(split[index].confidence or 0.0)), strict=True):
                turns[index] = turn
    return turns


def _content(question: str | None, schema: str | None, *, about_document: bool) -> str:
    """A user's turn: the document's place, the question, the shape of the answer."""
    if about_document:
        content = f"Document:\n{_DOCUMENT}\n"
        if question:
            content += f"Question: {question}" + ("\n" if schema is not None else "")
        ask = "Write the values found in the document as JSON: "
    else:
        content = f"{question}\n" if schema is not None else question or ""
        ask = "Answer as JSON: "
    return content + (ask + skeleton(schema) if schema is not None else "")


def _merged(segments: Sequence[Segment]) -> Iterator[Segment]:
    """Neighbouring text segments as one."""
    text: list[int] = []
    for segment in segments:
        if isinstance(segment, TextSegment):
            text += segment.tokens.tolist()
            continue
        if text:
            yield TextSegment.of(text)
            text = []
        yield segment
    if text:
        yield TextSegment.of(text)


def _schema_words(schema: str | None) -> str:
    """The words of a schema's properties, for relevance."""
    return " ".join(re.findall(r"[^\W_]+", skeleton(schema))) if schema is not None else ""
