"""When an answer is taken for right. Every normalisation that the table's figures rest on is here.

amounts    by value, to the cent: RM8.35 is 8.35, 1.234,50 is 1234.5
dates      by day: 12/02/2018 is 12 Feb 2018; digits are day first, month first only where that is no date; a time of
           day and a day of the week beside it are set aside
companies  letters and digits alone, case aside; a registration number in brackets at the end is set aside
addresses  F1 over bags of words, case and punctuation aside
spoken     however a recogniser of speech spells it: 190 dollars is $190, five is 5, March 14 is March 14th, 4.30 pm and
           430pm are 4:30 p.m.; only where it is the whole answer, but for the th of 14th,
           which counts nowhere
text       NFKC, case, runs of white space, and punctuation at the ends aside
refusals   the words of REFUSAL, or what else plainly says that the input has no answer; in JSON null or ""
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from datetime import date

from decoder.values import amounts, dates
from pipelines.train.hybrid.samples import REFUSAL

_TIME = re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?\s*(?:[ap]\.?m\.?)?", re.IGNORECASE)
_WEEKDAY = re.compile(r"\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\b\.?,?", re.IGNORECASE)
_NUMERIC = re.compile(r"(\d{1,4})[./\-–— ](\d{1,2})[./\-–— ](\d{1,4})")
_REGISTRATION = re.compile(r"\s*\([^()]*\d[^()]*\)\s*$")
_MONEY = re.compile(r"[.,]\d{2}\b|[$€£¥₹]")
_DOLLARS = re.compile(r"(\d[\d,]*(?:\.\d\d)?) dollars?")
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
_CLOCK = re.compile(r"(\d{1,2})(?:[:.]?(\d{2}))? ?([ap])\.? ?m")
_WORDS = {word: str(number) for number, word in enumerate(
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
)}  # fmt: skip
_ENDS = " \t\n.,;:!?\"'`()[]{}<>*_-–—/|"
_NOT_THERE = re.compile(
    r"\bnot (?:\w+ ){0,2}(?:in|mentioned|given|stated|found|provided|available|specified|listed|included|present)\b"
    r"|\bno (?:such )?(?:information|mention|answer)\b|\bdoes not (?:say|mention|contain|have|provide|state|include)\b"
)
_NOTHING = {"", "none", "null", "n/a", "na", "unknown", "-", "--"}


def folded(text: str) -> str:
    """Text without what does not count: width forms, case, runs of white space, punctuation at its ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_ENDS)


def same_amount(answer: str, truth: str) -> bool:
    """The same value to the cent."""
    cents = {round(100 * value) for value in amounts(truth)}
    return bool(cents & {round(100 * value) for value in amounts(answer)})


def day(text: str) -> date | None:
    """The day that a text means, None when it is not one date."""
    text = _WEEKDAY.sub(" ", _TIME.sub(" ", unicodedata.normalize("NFKC", text))).strip(" .,;:()[]")
    if (match := _NUMERIC.fullmatch(text)) is not None:
        first, second, third = (int(piece) for piece in match.groups())
        if len(match[1]) == 4:
            return _date(first, second, third)
        year = third if len(match[3]) == 4 else 2000 + third - (100 if third > 68 else 0)
        return _date(year, second, first) or _date(year, first, second)
    return min(dates(text), default=None)


def _date(year: int, month: int, number: int) -> date | None:
    try:
        return date(year, month, number)
    except ValueError:
        return None


def same_day(answer: str, truth: str) -> bool:
    """The same day."""
    meant = day(truth)
    return meant is not None and day(answer) == meant


def same_company(answer: str, truth: str) -> bool:
    """The same letters and digits."""
    return bool(_letters(truth)) and _letters(answer) == _letters(truth)


def _letters(text: str) -> str:
    text = _REGISTRATION.sub("", unicodedata.normalize("NFKC", text))
    return re.sub(r"[\W_]+", "", text).casefold()


def token_f1(answer: str, truth: str) -> float:
    """F1 of the words of an answer against those of the truth, as bags."""
    one, other = (Counter(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", t).casefold())) for t in (answer, truth))
    total = sum(one.values()) + sum(other.values())
    return 2 * sum((one & other).values()) / total if total else 1.0


def same_text(answer: str, truth: str, accepted: tuple[str, ...] = ()) -> bool:
    """The same text, or for an amount or a date the same value, as the truth or another accepted spelling."""
    return any(_alike(answer, spelling) for spelling in (truth, *accepted))


def _alike(answer: str, truth: str) -> bool:
    answer, truth = _written(answer), _written(truth)
    if folded(answer) == folded(truth):
        return True
    if day(truth) is not None:
        return same_day(answer, truth)
    return bool(_MONEY.search(truth)) and same_amount(answer, truth)


def _written(answer: str) -> str:
    """An answer that is a sum, a number or a time and nothing else, as it is written; others without the ends of
    ordinals."""
    text = folded(answer)
    if (match := _DOLLARS.fullmatch(text)) is not None:
        return f"${match[1]}"
    if (match := _CLOCK.fullmatch(text)) is not None:
        return f"{match[1]}:{match[2] or '00'} {match[3]}m"
    return _WORDS.get(text) or (_ORDINAL.sub("", answer) if _ORDINAL.search(text) else answer)


def occurs(answer: str, truth: str) -> bool:
    """Whether the value merely occurs in the answer, white space and case aside."""
    one, other = (re.sub(r"\s+", "", text).casefold() for text in (answer, truth))
    return other in one


def refused(answer: str) -> bool:
    """Whether an answer in words says that there is none."""
    text = folded(answer)
    return text in _NOTHING or text == folded(REFUSAL) or bool(_NOT_THERE.search(text))
