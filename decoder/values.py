"""Amounts and dates in any of the ways they are written, so that a value meets its print: 1234.5 and RM1,234.50,
2021-03-14 and 14 March 2021."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

_NUMBER = re.compile(r"-?\d(?:[\d,.'\u2019 ]*\d)?")
_CURRENCY = re.compile(r"[\d.,'\u2019\s$€£¥%+()-]")
_LETTERS = 3  # most letters beside an amount: a currency or a unit
_GROUPED = {  # decimal sign -> a number with groups of three
    ".": re.compile(r"-?\d{1,3}(?:[,'\u2019 ]\d{3})+(?:\.\d+)?"),
    ",": re.compile(r"-?\d{1,3}(?:[.'\u2019 ]\d{3})+(?:,\d+)?"),
}
_MONTHS = {
    name: month
    for names in (
        "january february march april may june july august september october november december",
        "jan feb mar apr may jun jul aug sep oct nov dec",
        "januar februar märz april mai juni juli august september oktober november dezember",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "janv févr mrz avr mai juin juil aoû sept okt nov dez",
    )
    for month, name in enumerate(names.split(), 1)
}
_THREE = re.compile(r"(\d{1,4})[./\-](\d{1,2})[./\-](\d{1,4})")
_PIECES = re.compile(r"\d+|[^\W\d_]+")


def amounts(text: str) -> frozenset[float]:
    """The numbers that a text may be, currency and thousands aside: two for 1.234, none when it is not one number."""
    text = unicodedata.normalize("NFKC", text).strip()
    digits = _NUMBER.findall(text)
    if len(digits) != 1 or len(_CURRENCY.sub("", text)) > _LETTERS:
        return frozenset()
    plain = digits[0]
    sign = -1.0 if re.fullmatch(r"\(.*\)", text) or re.search(r"\d-$", text) else 1.0
    found = set()
    for decimal, grouped in _GROUPED.items():
        if grouped.fullmatch(plain):
            found.add(float(re.sub(rf"[^\d{re.escape(decimal)}-]", "", plain).replace(decimal, ".")))
    if re.fullmatch(r"-?\d+(?:[.,]\d+)?", plain):
        found.add(float(plain.replace(",", ".")))
    return frozenset(sign * number for number in found)


def dates(text: str) -> frozenset[date]:
    """The dates that a text may be: two for 03/04/2021, none when it is not one date."""
    text = unicodedata.normalize("NFKC", text).casefold().strip(" .,;:()")
    if match := _THREE.fullmatch(text):
        first, second, third = (int(piece) for piece in match.groups())
        if len(match[1]) == 4:
            return _possible((first, second, third))
        if len(match[3]) in (2, 4):
            return _possible((_year(match[3]), second, first), (_year(match[3]), first, second))
        return frozenset()
    pieces = _PIECES.findall(re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", text))
    months = [_MONTHS[piece] for piece in pieces if piece in _MONTHS]
    numbers = [piece for piece in pieces if piece.isdigit()]
    others = [piece for piece in pieces if not piece.isdigit() and piece not in _MONTHS and piece not in ("of", "de")]
    if len(months) != 1 or len(numbers) != 2 or others:
        return frozenset()
    day, year = numbers if len(numbers[0]) <= 2 else numbers[::-1]
    return _possible((_year(year), months[0], int(day)))


def _year(digits: str) -> int:
    return int(digits) if len(digits) > 2 else 2000 + int(digits) - (100 if int(digits) > 68 else 0)


def _possible(*candidates: tuple[int, int, int]) -> frozenset[date]:
    found = set()
    for year, month, day in candidates:
        try:
            found.add(date(year, month, day))
        except ValueError:
            continue
    return frozenset(found)
