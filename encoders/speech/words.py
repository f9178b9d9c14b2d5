"""From aligned tokens to words with times and confidences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from faster_whisper.tokenizer import Tokenizer

from encoders.speech.engine import Alignment

_OPENING = "\"'“¿([{-"
_CLOSING = "\"'.。,，!！?？:：”)]}、"
_MOST_SECONDS = 0.7  # twice this is as long as a word next to a pause may be


@dataclass(slots=True)
class TimedWord:
    """A word as it stands in the text, with its leading space; times in seconds, confidence 0..1."""

    text: str
    start: float
    end: float
    confidence: float


def timed_words(tokenizer: Tokenizer, tokens: Sequence[int], alignment: Alignment) -> list[TimedWord]:
    """The words of one window. Punctuation belongs to the word before it (or behind it, when it opens)."""
    texts, groups = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    words: list[TimedWord] = []
    at = 0
    for text, group in zip(texts, groups):
        stop = at + len(group)
        if stop > len(tokens) or stop >= len(alignment.starts):
            break
        confidence = float(alignment.probabilities[at:stop].sum()) / max(1, stop - at)
        words.append(TimedWord(text, float(alignment.starts[at]), float(alignment.starts[stop]), confidence))
        at = stop
    return _shorten_at_pauses(_merge_punctuation(words))


def _merge_punctuation(words: list[TimedWord]) -> list[TimedWord]:
    merged: list[TimedWord] = []
    opening = ""
    for word in words:
        bare = word.text.strip()
        if merged and bare and bare in _CLOSING and not word.text.startswith(" "):
            merged[-1].text += word.text
        elif bare and bare in _OPENING and word.text.startswith(" "):
            opening += word.text
        elif bare:
            word.text = opening + (word.text.lstrip() if opening else word.text)
            opening = ""
            merged.append(word)
    return merged


def _shorten_at_pauses(words: list[TimedWord]) -> list[TimedWord]:
    """The warping gives a pause to the word before or behind it: cut words that last far too long.

    faster-whisper's rule: no word at a sentence's edge lasts more than twice the median word.
    """
    lengths = [word.end - word.start for word in words if word.end > word.start]
    if not lengths:
        return words
    longest = 2 * min(_MOST_SECONDS, float(np.median(lengths)))
    for index, word in enumerate(words):
        if word.end - word.start <= longest:
            continue
        opens = index == 0 or words[index - 1].text.rstrip()[-1:] in ".。!！?？"
        if opens:
            word.start = word.end - longest
        elif word.text.rstrip()[-1:] in ".。!！?？,，" or index == len(words) - 1:
            word.end = word.start + longest
    return words
