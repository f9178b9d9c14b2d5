"""Tokens to text while they come: only what can be shown for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_PART = "\ufffd"  # what a tokenizer gives for a character whose last bytes are still to come


class TextStream:
    """The text of one answer. What it has handed out never changes: a character waits for all its bytes, text that may
    begin a stop sequence for what follows, and tokens that may be taken back for the next ones."""

    def __init__(self, tokenizer: Any, stop: tuple[str, ...] = ()) -> None:
        self.text = ""
        self.stopped = False
        self._tokenizer, self._stop = tokenizer, stop
        self.read = 0  # tokens behind the text
        self._begin = 0  # tokens from here to `read` are decoded again, so that the next ones know what precedes them
        self._sent = 0  # characters

    def push(self, tokens: Sequence[int], held: int = 0, *, final: bool = False) -> str:
        """The text that has become showable, given all tokens so far, of which the last ``held`` may be taken back."""
        ready = len(tokens) - held
        if not self.stopped and ready > self.read:
            known = self._decode(tokens[self._begin : self.read])
            now = self._decode(tokens[self._begin : ready])
            if final or not now.endswith(_PART):
                self.text += now[len(known) :]
                self._begin, self.read = self.read, ready
                self._cut()
        showable = len(self.text) - (0 if final or self.stopped else self._opening())
        shown = self.text[self._sent : showable]
        self._sent = max(self._sent, showable)
        return shown

    def _decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _cut(self) -> None:
        places = [place for stop in self._stop if (place := self.text.find(stop, self._sent)) >= 0]
        if places:
            self.text = self.text[: min(places)]
            self.stopped = True

    def _opening(self) -> int:
        """Characters at the end that may be the beginning of a stop sequence."""
        longest = 0
        for stop in self._stop:
            for length in range(min(len(stop) - 1, len(self.text) - self._sent), longest, -1):
                if self.text.endswith(stop[:length]):
                    longest = length
                    break
        return longest
