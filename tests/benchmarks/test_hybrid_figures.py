"""What the hybrid model's figures rest on: normalisations, intervals, and the rule for the default mode."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from benchmarks.hybrid.agreement import day, occurs, refused, same_amount, same_company, same_day, same_text, token_f1
from benchmarks.hybrid.mode_rule import default_mode
from benchmarks.hybrid.outcomes import Figure, Measure, Outcome, bootstrap, figure, figures, wilson
from pipelines.train.word_errors import normalised


@pytest.mark.parametrize(
    ("answer", "truth", "same"),
    [
        ("RM8.35", "8.35", True),
        ("1.234,50", "1,234.50", True),
        ("$ 12", "12.00", True),
        ("8.36", "8.35", False),
        ("-8.35", "8.35", False),
        ("The total is 8.35", "8.35", False),
        ("", "8.35", False),
    ],
)
def test_amounts_are_compared_by_value(answer: str, truth: str, same: bool) -> None:
    assert same_amount(answer, truth) is same


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("12/02/2018", date(2018, 2, 12)),
        ("12-02-18", date(2018, 2, 12)),
        ("2018-02-12", date(2018, 2, 12)),
        ("2018–02–12", date(2018, 2, 12)),  # as a recogniser writes hyphens
        ("12 FEB 2018", date(2018, 2, 12)),
        ("February 12, 2018", date(2018, 2, 12)),
        ("02/25/2018", date(2018, 2, 25)),  # no day 2 of month 25
        ("12/02/2018 19:31:04 PM", date(2018, 2, 12)),
        ("(MON) 12/02/2018", date(2018, 2, 12)),
        ("31/02/2018", None),
        ("112.45", None),
        ("", None),
    ],
)
def test_dates_are_compared_by_day(text: str, meant: date | None) -> None:
    assert day(text) == meant


def test_day_and_month_are_not_exchanged() -> None:
    assert same_day("03/04/2018", "3.4.2018")
    assert not same_day("04/03/2018", "03/04/2018")
    assert not same_day("", "no date")


@pytest.mark.parametrize(
    ("answer", "truth", "same"),
    [
        ("Mr D.I.Y (M) Sdn Bhd", "MR. D.I.Y. (M) SDN BHD", True),
        ("GARDENIA BAKERIES (KL) SDN BHD (139386 X)", "GARDENIA BAKERIES (KL) SDN BHD", True),
        ("GARDENIABAKERIES(KL)SDN BHD", "GARDENIA BAKERIES (KL) SDN BHD", True),
        ("GARDENIA BAKERIES", "GARDENIA BAKERIES (KL) SDN BHD", False),
        ("", "...", False),
    ],
)
def test_companies_are_compared_by_letters_and_digits(answer: str, truth: str, same: bool) -> None:
    assert same_company(answer, truth) is same


def test_addresses_are_compared_as_bags_of_words() -> None:
    assert token_f1("lot 3, Jalan Pelabur", "LOT 3 JALAN PELABUR.") == 1
    assert token_f1("LOT 3", "LOT 3 JALAN PELABUR") == pytest.approx(2 / 3)
    assert token_f1("", "LOT 3") == 0


@pytest.mark.parametrize(
    ("answer", "truth", "accepted", "same"),
    [
        ("Sea  Ltd.", "sea ltd", (), True),
        ("two", "2", ("two",), True),
        ("1.200,00", "€ 1,200.00", (), True),
        ("12 Feb 2018", "12/02/2018", (), True),
        ("0012", "12", (), False),  # an id is not an amount
        ("no", "yes", (), False),
        ("190 dollars", "$190", (), True),
        ("190 dollars", "$180", (), False),
        ("Five", "5", (), True),
        ("five chairs", "5", (), False),
        ("March 14.", "March 14th", (), True),
        ("4.30 pm", "4:30 p.m.", (), True),
        ("2pm", "2 p.m.", (), True),
        ("2 a.m.", "2 p.m.", (), False),
    ],
)
def test_texts_are_compared_as_printed_but_for_amounts_and_dates(
    answer: str, truth: str, accepted: tuple[str, ...], same: bool
) -> None:
    assert same_text(answer, truth, accepted) is same


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        ("not in the document", True),
        ("Not in the document.", True),
        ("The IBAN is not mentioned in the document.", True),
        ("N/A", True),
        ("", True),
        ("The document states that the IBAN is 12.", False),
        ("Nottingham", False),
    ],
)
def test_refusals(answer: str, refusal: bool) -> None:
    assert refused(answer) is refusal


def test_a_value_occurs_whatever_stands_around_it() -> None:
    assert occurs("The total is RM 8.35.", "RM8.35")
    assert not occurs("8.3", "8.35")


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(27, 30, 0.7438, 0.9654), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (0, 0, 0.0, 1.0)],
)
def test_wilson_interval_has_its_textbook_values(right: int, count: int, low: float, high: float) -> None:
    assert wilson(right, count) == pytest.approx((low, high), abs=1e-4)


def test_bootstrap_covers_what_it_should_and_is_repeatable() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        pairs = [(float(rng.binomial(20, 0.1)), 20.0) for _ in range(80)]
        low, high = bootstrap(pairs)
        covered += low <= 0.1 <= high
    assert covered >= 52
    assert bootstrap(pairs) == (low, high)
    assert bootstrap([(1.0, 10.0)] * 5) == (0.1, 0.1)


def test_errors_are_those_of_all_the_truth_and_intervals_are_of_units() -> None:
    lines = [Outcome("reading", Measure.ERROR, edits, unit, of=10) for edits, unit in ((0, "a"), (0, "a"), (3, "b"))]
    own = figure(lines)
    assert own.value == pytest.approx(0.1) and own.count == 3 and own.less_is_better
    assert (own.low, own.high) == (0.0, pytest.approx(0.3))  # of two documents, not of three lines


def test_figures_are_grouped_by_any_name() -> None:
    outcomes = [Outcome("r", Measure.RATE, hit, "u", tags={"half": half}) for hit, half in ((1, "x"), (0, "y"))]
    assert figures(outcomes)["r"].value == 0.5
    assert {name: own.value for name, own in figures(outcomes, lambda o: o.tags["half"]).items()} == {"x": 1, "y": 0}


def _rate(value: float, half: float, tokens: float, measure: Measure = Measure.RATE) -> Figure:
    return Figure(measure, value, value - half, value + half, 100, tokens)


@pytest.mark.parametrize(
    ("row", "mode"),
    [
        ({"text": _rate(0.90, 0.05, 800), "soft": _rate(0.70, 0.08, 400), "both": _rate(0.92, 0.05, 1200)}, "text"),
        ({"text": _rate(0.80, 0.03, 800), "soft": _rate(0.70, 0.08, 400), "both": _rate(0.92, 0.03, 1200)}, "both"),
        ({"text": _rate(0.90, 0.05, 800), "soft": _rate(0.86, 0.08, 400), "both": _rate(0.90, 0.05, 1200)}, "soft"),
        ({"text": _rate(0.05, 0.01, 800, Measure.ERROR), "soft": _rate(0.5, 0.01, 400, Measure.ERROR)}, "text"),
        ({"text": _rate(0.90, 0.05, 800), "both": _rate(0.91, 0.05, 800)}, "both"),  # equal prompts
        ({"soft": _rate(0.1, 0.05, 400)}, "soft"),
        ({}, None),
    ],
)
def test_rule_for_the_default_mode(row: dict[str, Figure], mode: str | None) -> None:
    assert default_mode(row) == mode


@pytest.mark.parametrize(
    ("said", "heard", "same"),
    [
        ("Room 5,800 is free at 1 p.m.", "room 5800 is free at 1pm", True),
        ("two hundred, at 10 a.m. or so", "200 at 10 am, or so", True),
        ("I am 12, 34 is he", "I am 12 34 is he", True),
        ("at 1 p.m.", "at 1 a.m.", False),
        ("June 15th", "June 15", False),
    ],
)
def test_words_are_compared_by_what_is_said(said: str, heard: str, same: bool) -> None:
    assert (normalised(said) == normalised(heard)) is same
