"""Fusion: the question and everything the specialists read become one sequence of text and soft tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from decoder.config import DecoderConfig
from decoder.precontext import Passage, Precontext, passages
from decoder.relevance import choose
from decoder.schema_text import skeleton
from decoder.sequence import DecoderError, Segment, SoftSegment, TextSegment
from encoders.checkpoints.resolve import resolve

PROMPT_VERSION = 2
"""Part of every answer fingerprint: raise it with any change to the texts or the cutting below."""

SYSTEM = "You answer questions about a document. Answer briefly, with the words of the document."
SCHEMA_SYSTEM = "You extract information from a document as JSON, with the words of the document."
_DOCUMENT = "\u241e"  # stands for the document while the chat template is rendered
_GAP = "[...]"
_PASSAGE_TOKENS = 96  # longer passages are cut at sentences before they are ranked


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt ready for the engine. ``truncated``: passages were left out, ``read`` of ``total`` are in."""

    segments: tuple[Segment, ...]
    truncated: bool
    read: int
    total: int

    def __len__(self) -> int:
        return sum(len(segment) for segment in self.segments)


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
        sought = " ".join(filter(None, [question, _schema_words(schema)]))
        chosen = choose([passage.text for passage in split], lengths, sought, budget)
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
        return Prompt(tuple(_merged(segments)), len(chosen) < len(split), len(chosen), len(split))

    def _frame(self, question: str | None, schema: str | None) -> tuple[list[int], list[int]]:
        """Tokens before and after the document."""
        if not question and schema is None:
            raise DecoderError("there is neither a question nor a schema to answer")
        system = SYSTEM if schema is None else SCHEMA_SYSTEM
        content = f"Document:\n{_DOCUMENT}\n"
        if question:
            content += f"Question: {question}" + ("\n" if schema is not None else "")
        if schema is not None:
            content += "Write the values found in the document as JSON: " + skeleton(schema)
        if self.tokenizer.chat_template:
            messages = [{"role": "system", "content": system}, {"role": "user", "content": content}]
            text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        else:
            text = f"{system}\n\n{content}\nAnswer:"
        before, _, after = text.partition(_DOCUMENT)
        return self._tokens(before), self._tokens(after)

    def _tokens(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return tokens

    def _pieces(self, passage: Passage, most: int) -> Iterator[Passage]:
        """The passage, cut at line or sentence ends into pieces of about ``most`` tokens; soft tokens stay with the
        first piece."""
        soft_alone = self.config.mode == "soft" and passage.soft is not None
        if soft_alone or len(passage.text) <= most or len(self._tokens(passage.text)) <= most:
            yield passage
            return
        soft, piece, length = passage.soft, "", 0
        for sentence in self._sentences(passage.text, most):
            count = len(self._tokens(sentence))
            if piece and length + count > most:
                yield replace(passage, text=piece.strip(), soft=soft)
                soft, piece, length = None, "", 0
            piece, length = piece + sentence, length + count
        if piece.strip():
            yield replace(passage, text=piece.strip(), soft=soft)

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

    def _render(self, passage: Passage) -> list[Segment]:
        """A passage in the config's mode; without soft tokens it is text in every mode."""
        soft = passage.soft if self.config.mode != "text" and passage.soft is not None and len(passage.soft) else None
        segments: list[Segment] = [SoftSegment(soft)] if soft is not None else []
        if soft is not None and self.config.mode == "soft":
            return [*segments, TextSegment.of(self._tokens("\n"))]
        plain = passage.text.replace("<|", "< |")  # a document must not end the user's turn
        return [*segments, TextSegment.of(self._tokens(plain + "\n"))]


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
