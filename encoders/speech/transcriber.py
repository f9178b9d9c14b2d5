"""Windows of speech to words: encode once, then language, text and times from the same encoder output."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from encoders.speech.engine import Hypothesis, WhisperEngine
from encoders.speech.guards import is_doubtful, is_silence, without_loops
from encoders.speech.windows import Window
from encoders.speech.words import TimedWord, timed_words

_MEMORY = 0.7  # how much of the belief in a language lives on from window to window


@dataclass(slots=True)
class Transcript:
    """What was said in one window; word times are seconds of the window."""

    words: list[TimedWord]
    language: str
    features: NDArray[np.float16] | None = None  # [1500, d]


@dataclass(slots=True)
class LanguageBelief:
    """Which language a part is in, as its windows come by: the network's guess on one window may be wrong."""

    fixed: str | None = None
    total: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    _recent: dict[str, float] = field(default_factory=dict)

    def hear(self, probabilities: dict[str, float], seconds: float) -> str:
        """Take in one window and name the language to read it in."""
        if self.fixed is not None:
            return self.fixed
        self.seconds += seconds
        for language, probability in probabilities.items():
            self.total[language] = self.total.get(language, 0.0) + probability * seconds
            self._recent[language] = self._recent.get(language, 0.0) * _MEMORY + probability * seconds
        return max(self._recent, key=lambda language: self._recent[language])

    def verdict(self) -> tuple[str, float]:
        """The language of the part and its confidence; ("", 0) when nothing was heard."""
        if self.fixed is not None:
            return self.fixed, 1.0
        if not self.total:
            return "", 0.0
        language = max(self.total, key=lambda name: self.total[name])
        return language, min(1.0, self.total[language] / max(self.seconds, 1e-9))


class Transcriber:
    """Reads batches of windows with one network. Raises what the network raises, and ValueError for numbers that are
    not finite."""

    def __init__(self, engine: WhisperEngine, *, features: bool = False) -> None:
        self._engine = engine
        self._features = features

    def __call__(self, windows: Sequence[Window], beliefs: Sequence[LanguageBelief]) -> list[Transcript]:
        """One transcript per window; ``beliefs[i]`` is that of the part that window i belongs to."""
        encoded = self._engine.encode([window.samples for window in windows])
        guesses = [{} for _ in windows] if all(belief.fixed for belief in beliefs) else self._engine.languages(encoded)
        languages = [belief.hear(guess, window.seconds) for belief, guess, window in zip(beliefs, guesses, windows)]
        hypotheses = self._decode(encoded, languages, windows)
        if not all(math.isfinite(hypothesis.log_probability) for hypothesis in hypotheses):
            raise ValueError("the network's output is not finite")
        words = self._align(encoded, languages, hypotheses, windows)
        features = self._engine.features(encoded) if self._features else [None] * len(windows)
        return [Transcript(*row) for row in zip(words, languages, features)]

    @property
    def fits(self) -> int | None:
        """How many windows may be read at once; None: not limited so far."""
        return self._engine.fits

    def shrink(self, count: int) -> None:
        """Memory ran out over so many windows: read half as many from now on."""
        self._engine.shrink(count)

    def _decode(self, encoded: object, languages: Sequence[str], windows: Sequence[Window]) -> list[Hypothesis]:
        hypotheses = self._engine.generate(encoded, languages)
        again = [
            index
            for index, (hypothesis, language, window) in enumerate(zip(hypotheses, languages, windows))
            if is_doubtful(hypothesis, self._text(hypothesis, language), window.seconds)
        ]
        if again:
            chosen = [languages[index] for index in again]
            second = self._engine.generate(self._engine.select(encoded, again), chosen, careful=True)
            for index, hypothesis in zip(again, second):
                hypotheses[index] = hypothesis
        return [
            Hypothesis((), hypothesis.log_probability, hypothesis.no_speech) if is_silence(hypothesis) else hypothesis
            for hypothesis in hypotheses
        ]

    def _text(self, hypothesis: Hypothesis, language: str) -> str:
        return str(self._engine.tokenizer(language).decode(list(hypothesis.tokens)))

    def _align(
        self, encoded: object, languages: Sequence[str], hypotheses: Sequence[Hypothesis], windows: Sequence[Window]
    ) -> list[list[TimedWord]]:
        words: list[list[TimedWord]] = [[] for _ in windows]
        for language in dict.fromkeys(languages):
            chosen = [i for i, own in enumerate(languages) if own == language and hypotheses[i].tokens]
            if not chosen:
                continue
            tokens = [hypotheses[index].tokens for index in chosen]
            seconds = [windows[index].seconds for index in chosen]
            alignments = self._engine.align(self._engine.select(encoded, chosen), language, tokens, seconds)
            tokenizer = self._engine.tokenizer(language)
            for index, ids, alignment in zip(chosen, tokens, alignments):
                words[index] = without_loops(timed_words(tokenizer, ids, alignment))
        return words
