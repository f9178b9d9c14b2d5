"""Whisper's decoders of several sizes, and windows of several clients decoded in step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from encoders.failures import is_out_of_memory
from encoders.speech.engine import Hypothesis
from encoders.speech.tokenizing import WhisperTokenizers
from encoders.speech.torch_decoder import Decoded, DecodingRules, StaticDecoder
from encoders.transfers import to_card


class Rows(NamedTuple):
    """How many windows are decoded in step, always, however few there are: with one shape a window's sums are the same
    in any company."""

    plain: int
    careful: int  # in the second try at a window

    def within(self, most: int) -> Rows:
        """The same, but no more than so many."""
        return Rows(*(min(size, max(1, most)) for size in self))


class Asked(NamedTuple):
    """Encoded windows [n, frames, d], and the language of each."""

    encoded: torch.Tensor
    languages: Sequence[str]


class _Stretch(NamedTuple):
    """Windows ``first`` to ``last`` of one who asks, from ``row`` of a batch on."""

    number: int
    first: int
    last: int
    row: int


class WindowDecoders:
    """By size and carefulness. Without ``rows`` a batch has the size that it needs: on CUDA a power of two, because
    each size records a step of its own. For several threads, of which one decodes at a time."""

    def __init__(
        self,
        network: Any,
        tokenizer: WhisperTokenizers,
        device: torch.device,
        rows: Rows | None = None,
        stream: torch.cuda.Stream | None = None,
    ) -> None:
        """``stream``: that steps are recorded on."""
        self._network, self._tokenizer, self._device = network, tokenizer, device
        self.rows, self._stream = rows, stream
        self._made: dict[tuple[int, bool], StaticDecoder] = {}
        self._using = threading.Lock()

    def begin(self, asked: Sequence[Asked], careful: bool = False) -> list[Callable[[], list[Hypothesis]]]:
        """Decode the windows of each, beside those of the others as far as there are rows. What is returned for each
        waits for its windows."""
        begun: list[list[Callable[[], list[Hypothesis]]]] = [[] for _ in asked]
        with self._using:
            counts = [len(one.encoded) for one in asked]
            size = self._size(sum(counts), careful)
            for some in _batches(counts, size):
                decoded = self._decode(self._decoder(size, careful), asked, some)
                for number, first, last, row in some:
                    begun[number].append(partial(_hypotheses, decoded, row, last - first))
        return [partial(_joined, parts) for parts in begun]

    def prepare(self) -> None:
        """Make the decoders of fixed size, and record their steps: nobody else should use the device meanwhile, since
        what another thread asks of it during a recording may fail. Where memory runs out, for half as many rows."""
        while self.rows is not None:
            try:
                for careful in (False, True):
                    self._decoder(self.rows[careful], careful).record()
                break
            except Exception as error:
                if self.rows.plain == 1 or not is_out_of_memory(error):
                    raise
            self._made.clear()  # outside the handler: the error's traceback holds on to what filled the memory
            self.rows = self.rows.within(self.rows.plain // 2)
            self._settle()
        self._settle()

    def shrink(self, fits: int) -> None:
        """Memory ran out for somebody, of whose windows so many still fit: the largest decoders go. Those of fixed size
        become smaller for all, but not for all who say the same at once: a batch of that many always has room."""
        with self._using:
            self._settle()  # what was decoded last may still be at work
            if self.rows is None:
                self._made = {key: decoder for key, decoder in self._made.items() if key[0] <= fits}
                self._settle()
                return
            smaller = self.rows.within(1 << (2 * fits).bit_length() - 1)
            if smaller != self.rows:
                self.rows = smaller
                self._made.clear()
                self._settle()
                self.prepare()

    def prompt(self, language: str) -> list[int]:
        """Tokens that a text in that language begins behind."""
        tokenizer = self._tokenizer(language)
        return [*tokenizer.sot_sequence, tokenizer.no_timestamps]

    def _decode(self, decoder: StaticDecoder, asked: Sequence[Asked], some: Sequence[_Stretch]) -> Decoded:
        prompts = []
        for number, first, last, row in some:
            encoded, languages = asked[number]
            decoder.start(encoded[first:last], row)
            prompts += [self.prompt(language) for language in languages[first:last]]
        decoded: Decoded = decoder.decode(to_card(np.array(prompts), self._device))
        return decoded

    def _size(self, count: int, careful: bool) -> int:
        if self.rows is not None:
            return self.rows[careful]
        return 1 << (count - 1).bit_length() if self._device.type == "cuda" else count

    def _decoder(self, size: int, careful: bool) -> StaticDecoder:
        if (size, careful) not in self._made:
            if self._device.type == "cpu" and self.rows is None:
                self._made.clear()  # sizes are not rounded here, and buffers are made fast
            rules = _rules(self._tokenizer("en"), self._network.config.vocab_size)
            made = StaticDecoder(self._network, rules, size, careful=careful, stream=self._stream)
            self._made[size, careful] = made
        return self._made[size, careful]

    def _settle(self) -> None:
        """Wait for the device, and have what nobody holds any more given back."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            torch.cuda.empty_cache()


def _rules(tokenizer: Tokenizer, vocabulary: int) -> DecodingRules:
    timestamps = tuple(range(tokenizer.no_timestamps, vocabulary))
    return DecodingRules(
        start=tokenizer.sot,
        end=tokenizer.eot,
        no_speech=tokenizer.no_speech,
        suppressed=tuple(get_suppressed_tokens(tokenizer, [-1]) or ()) + timestamps,
        suppressed_first=(*tokenizer.encode(" "), tokenizer.eot),
    )


def _batches(counts: Sequence[int], size: int) -> Iterator[list[_Stretch]]:
    """Whose windows go together, one after another in rows from 0 on. Only who has more than a batch is cut in pieces,
    by that alone: the shape of what is computed for somebody does not depend on others either."""
    some: list[_Stretch] = []
    row = 0
    for number, count in enumerate(counts):
        for first in range(0, count, size):
            last = min(count, first + size)
            if row + last - first > size:
                yield some
                some, row = [], 0
            some.append(_Stretch(number, first, last, row))
            row += last - first
    if some:
        yield some


def _hypotheses(decoded: Decoded, first: int, count: int) -> list[Hypothesis]:
    return [
        Hypothesis(tuple(token for token in text if token < decoded.end), score, silence)
        for text, score, silence in decoded.windows(first, count)
    ]


def _joined(parts: Sequence[Callable[[], list[Hypothesis]]]) -> list[Hypothesis]:
    return [hypothesis for part in parts for hypothesis in part()]
