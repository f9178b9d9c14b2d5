"""How sure answers are: the figures of it, and the confidence of an answer in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.answer_calibration import Judged, fit
from benchmarks.hybrid.sureness import calibration_error, selective
from decoder.calibration import UNCALIBRATED, Calibration, Grounds, Signals
from decoder.grounding import ground
from decoder.precontext import Precontext
from decoder.sequence import Finish, Generation
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
    fitted = fit(sure)
    assert fitted.knows(Grounds.QUOTED) and not fitted.knows(Grounds.WORDED)
    assert fitted.confidence(sure[0].signals) == pytest.approx(0.75, abs=0.05)
    assert fitted.curves[Grounds.SEEN] == UNCALIBRATED.curves[Grounds.SEEN]
