"""Whisper on CPU: the CTranslate2 network of faster-whisper, without its window loop.

faster-whisper encodes the first window twice (language, then text) and seeks back to the last timestamp of each
window. We encode each window once and decode, align and keep features from the same output.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from numpy.typing import NDArray

from encoders.checkpoints.conversions.whisper import read_ctranslate2
from encoders.speech.engine import Alignment, Hypothesis

_MEL_FRAMES = 3000
Encoded = NDArray[np.float32]


class CTranslate2Engine:
    """See `encoders.speech.engine.WhisperEngine`; ``encoded`` is [windows, 1500, d] float32."""

    batch = 8
    fits: int | None = None

    def __init__(self, folder: Path, *, compute_type: str, beam_size: int, threads: int) -> None:
        self._model = WhisperModel(str(folder), device="cpu", compute_type=compute_type, cpu_threads=threads)
        self._network: ctranslate2.models.Whisper = self._model.model
        self._beam_size = beam_size
        self._tokenizers: dict[str, Tokenizer] = {}
        self._folder = folder
        self._parameters: int | None = None

    def encode(self, windows: Sequence[NDArray[np.float32]]) -> Encoded:
        """One at a time: on one core a batch of 8 costs 1.6 times as much a window (it leaves the cache)."""
        return np.concatenate([np.asarray(self._network.encode(_storage(self._mel(window)))) for window in windows])

    def languages(self, encoded: Encoded) -> list[dict[str, float]]:
        """Probability of each language code, for each window."""
        if not self._network.is_multilingual:
            return [{"en": 1.0} for _ in range(len(encoded))]
        return [
            {token[2:-2]: probability for token, probability in window}
            for window in self._network.detect_language(_storage(encoded))
        ]

    def generate(self, encoded: Encoded, languages: Sequence[str], careful: bool = False) -> list[Hypothesis]:
        """Beam search in one batch; prompts differ by language."""
        tokenizers = [self.tokenizer(language) for language in languages]
        results = self._network.generate(
            _storage(encoded),
            [[*tokenizer.sot_sequence, tokenizer.no_timestamps] for tokenizer in tokenizers],
            beam_size=self._beam_size,
            suppress_tokens=list(get_suppressed_tokens(tokenizers[0], [-1]) or ()),
            return_scores=True,
            return_no_speech_prob=True,
            repetition_penalty=1.1 if careful else 1.0,
            no_repeat_ngram_size=4 if careful else 0,
        )
        hypotheses = []
        for tokenizer, result in zip(tokenizers, results):
            ids = result.sequences_ids[0]
            mean = result.scores[0] * len(ids) / (len(ids) + 1)
            text = tuple(token for token in ids if token < tokenizer.eot)
            hypotheses.append(Hypothesis(text, mean, result.no_speech_prob))
        return hypotheses

    def align(
        self, encoded: Encoded, language: str, tokens: Sequence[Sequence[int]], seconds: Sequence[float]
    ) -> list[Alignment]:
        """Dynamic time warping over the alignment heads, inside CTranslate2."""
        frames = [min(_MEL_FRAMES, max(2, round(length * 100))) for length in seconds]
        start_sequence = list(self.tokenizer(language).sot_sequence)
        results = self._network.align(_storage(encoded), start_sequence, [list(ids) for ids in tokens], frames)
        alignments = []
        for result in results:
            text, time = np.array(result.alignments).T
            jumps = np.concatenate([[True], np.diff(text) > 0])
            alignments.append(Alignment(time[jumps] / 50, np.asarray(result.text_token_probs, np.float64)))
        return alignments

    def select(self, encoded: Encoded, indices: Sequence[int]) -> Encoded:
        """Some windows of an encoded batch."""
        return encoded[list(indices)]

    def features(self, encoded: Encoded) -> NDArray[np.float16]:
        """The encoder's output in half precision."""
        return encoded.astype(np.float16)

    def tokenizer(self, language: str) -> Tokenizer:
        """Text and token ids."""
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._model.hf_tokenizer, self._network.is_multilingual, task="transcribe", language=language
            )
        return self._tokenizers[language]

    def shrink(self, count: int) -> None:
        """It keeps nothing between calls."""
        self.fits = max(1, count // 2)

    def parameters(self) -> int:
        """Counted in the file, once: CTranslate2 does not say. Tied weights count once."""
        if self._parameters is None:
            arrays = read_ctranslate2(self._folder / "model.bin")
            self._parameters = sum(array.size for array in {id(array): array for array in arrays.values()}.values())
        return self._parameters

    def _mel(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-mel [1, bands, 3000] of one window, padded as whisper was trained: with silence, after the mel."""
        mel = self._model.feature_extractor(samples)[:, :_MEL_FRAMES]
        return np.pad(mel, ((0, 0), (0, _MEL_FRAMES - mel.shape[1]))).astype(np.float32)[None]


def _storage(array: NDArray[np.float32]) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))
