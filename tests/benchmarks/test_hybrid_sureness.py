"""How sure answers are: the figures of it, and the confidence of an answer in words."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.confidence_fit import Judged, fit
from benchmarks.hybrid.selective import area, calibration_error, interval, selective
from decoder.calibration import (
    UNCALIBRATED,
    Calibration,
    Grounds,
    Signals,
    calibration_of,
    fitted,
    written,
)
from decoder.grounding import ground
from decoder.precontext import Precontext
from decoder.sequence import Finish, Generation
from encoders.checkpoints.lock import load_lock
from tests.decoder.pages import document

RNG = np.random.default_rng(0)


def test_calibration_error_is_the_gap_in_bins_of_equal_size() -> None:
    confidence = RNG.random(4000)
    right = (RNG.random(4000) < confidence).astype(float)
    assert calibration_error(confidence, right) < 0.03
    assert calibration_error(np.full(4000, 0.9), right) == pytest.approx(0.9 - right.mean(), abs=0.03)
    assert calibration_error(np.array([0.2, 0.2]), np.array([1.0, 0.0])) == pytest.approx(0.5)  # a bin for each


def test_selective_accuracy_is_of_the_surest() -> None:
    right = np.array([1.0] * 80 + [0.0] * 20)
    curve = selective(np.linspace(1, 0, 100), right)
    assert curve[1.0] == 0.8 and curve[0.9] == pytest.approx(8 / 9) and curve[0.8] == curve[0.5] == 1.0


def answered(text: str, logprob: float, calibration: Calibration) -> float:
    generation = Generation(text, (1, 2), (logprob / 4, logprob / 4), Finish.STOP, 10, end_logprob=logprob / 2)
    read = (Precontext("ocr", document(["The total is 12.50"]), "p"),)
    return ground(generation, None, read, "What is the total?", is_json=False, calibration=calibration).confidence


def test_an_answer_in_words_is_as_sure_as_its_curve_says() -> None:
    curves = {**UNCALIBRATED.curves, Grounds.QUOTED: (0.0, 1.0), Grounds.WORDED: (-1.0, 1.0)}
    logprob = math.log(0.8)
    assert answered("12.50", logprob, Calibration(curves)) == pytest.approx(0.8 * 0.9)  # times how surely it was read
    assert answered("13.50", logprob, Calibration(curves)) == pytest.approx(4 / (4 + math.e))
    average = math.exp((logprob / 4 + logprob / 4 + logprob / 2) / 3)
    assert answered("12.50", logprob, UNCALIBRATED) == pytest.approx(average)


def test_curves_are_fitted_for_what_was_seen_and_answers_in_words_may_lack_one() -> None:
    sure = [Judged(Signals(math.log(0.95), Grounds.QUOTED), right) for right in [True] * 30 + [False] * 10]
    found = fit(sure)
    assert found.knows(Grounds.QUOTED) and not found.knows(Grounds.WORDED)
    assert found.confidence(sure[0].signals) == pytest.approx(0.75, abs=0.05)
    assert found.curves[Grounds.SEEN] == UNCALIBRATED.curves[Grounds.SEEN]


def test_curves_come_back_from_their_file_and_those_of_another_version_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    one = Calibration({Grounds.SEEN: (0.5, 1.25), Grounds.WORDED: (-1.0, 0.0)}, "ab" * 32)
    file.write_text(written({"a": one}), encoding="utf-8")
    assert fitted(file) == {"a": one}
    other = tmp_path / "other.json"
    other.write_text(file.read_text("utf-8").replace("weights_sha256", "weights"), encoding="utf-8")
    with pytest.raises(ValueError, match="fit again"):
        fitted(other)


def test_the_default_decoder_was_fitted_with_the_weights_that_ship() -> None:
    files = load_lock().checkpoints["decoder"].variants["tuned"].files
    assert calibration_of("decoder").weights_sha256 == files["model.safetensors"], (
        "new weights: python -m benchmarks.hybrid --rows documents,calibration, and its calibration.json to decoder/"
    )


def test_the_interval_is_of_documents() -> None:
    right = np.array([1.0] * 60 + [0.0] * 40)
    low, high = interval(np.linspace(1, 0, 100), right, [str(i // 20) for i in range(100)])
    assert low[2] < 0.6 < high[2] and high[2] - low[2] > 0.4  # five documents, all right or all wrong
    assert area(np.linspace(1, 0, 100), right) < 0.1 < 0.6 < area(np.linspace(0, 1, 100), right)
