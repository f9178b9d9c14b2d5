"""Guards against looping and invented text. Whisper writes something even where nothing is said."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from encoders.speech.engine import Hypothesis
from encoders.speech.words import TimedWord

_MOST_COMPRESSION = 2.4  # openai/whisper's threshold: plain speech compresses to about half
_LEAST_LOG_PROBABILITY = -1.0
_MOST_NO_SPEECH = 0.6
_CERTAIN_NO_SPEECH = 0.9
_FEW_TOKENS = 3
_MOST_REPEATS = 4
_LONGEST_PHRASE = 8  # words in a repeated phrase
_FASTEST = 9.0  # words a second over a whole window; fast speakers reach 6


def compression(text: str) -> float:
    """Length of the text over its length packed: above 2.4 it repeats itself."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded)) if encoded else 0.0


def is_silence(hypothesis: Hypothesis) -> bool:
    """The network hears no speech, and does not believe its own text either.

    On pure silence whisper-base writes "you" with a log probability of -0.4: hence the second rule.
    """
    unsure = hypothesis.log_probability < _LEAST_LOG_PROBABILITY
    hardly_a_word = hypothesis.no_speech > _CERTAIN_NO_SPEECH and len(hypothesis.tokens) <= _FEW_TOKENS
    return (hypothesis.no_speech > _MOST_NO_SPEECH and unsure) or hardly_a_word


def is_doubtful(hypothesis: Hypothesis, text: str, seconds: float) -> bool:
    """Whether a window deserves a second, careful try: it loops, or reads far too fast for its length."""
    return compression(text) > _MOST_COMPRESSION or len(text.split()) > _FASTEST * max(seconds, 1.0)


def without_loops(words: Sequence[TimedWord]) -> list[TimedWord]:
    """The words with phrases that repeat more than four times in a row cut down to one."""
    kept: list[TimedWord] = []
    plain: list[str] = []
    for word in words:
        kept.append(word)
        plain.append(word.text.strip().lower().strip(".,!?;:"))
        for size in range(1, _LONGEST_PHRASE + 1):
            span = size * (_MOST_REPEATS + 1)
            if len(plain) >= span and plain[-span:-size] == plain[size - span :]:
                del kept[-size * _MOST_REPEATS :], plain[-size * _MOST_REPEATS :]
                break
    return kept
