"""Things sold, with prices that add up: what invoices, receipts and orders are about."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pipelines.train.hybrid.documents import words
from pipelines.train.hybrid.documents.draft import Draft


@dataclass(frozen=True, slots=True)
class Sold:
    """One line of goods."""

    name: str
    code: str
    quantity: int
    price: float
    amount: float


@dataclass(frozen=True, slots=True)
class Basket:
    """Lines of goods with the sums under them. ``total`` is what is to be paid, after rounding."""

    lines: list[Sold]
    subtotal: float
    discount: float
    rate: int  # per cent
    tax: float
    shipping: float
    rounding: float
    total: float


def basket(draft: Draft, count: int, *, shop: bool = False, cents: bool = True, rates: tuple[int, ...] = ()) -> Basket:
    """``count`` different goods. ``shop``: small amounts, prices that hold the tax already, names cut short now and
    then; ``cents``: what is to be paid is rounded to five; ``rates``: of the tax, the country's own when empty."""
    rng = draft.rng
    scale = draft.lang.data.get("price_scale", 1)
    whole = draft.places == 0
    lines: list[Sold] = []
    named: set[str] = set()
    pattern = rng.choice(("9999", "99999", "AA-999", "A9999", "999-99", "9999999999999"))
    codes: set[str] = set()
    tries = 0  # names that hold one another are avoided as long as the list of words allows
    count = min(count, 14) if draft.lang.wide or draft.held_out else count
    short = rng.random() < 0.3 and not draft.lang.wide
    while len(lines) < count:
        name, mark = words.item(rng, draft.lang, draft.held_out), words.code(rng, pattern)
        if shop and short:
            name = _cut(rng, name)
        tries += 1
        like = name.lower() in named if tries > 60 else any(name.lower() in x or x in name.lower() for x in named)
        if mark in codes or like:
            continue
        named.add(name.lower())
        codes.add(mark)
        quantity = rng.choice((1, 1, 1, 1, 2, 2, 3, 4, 6) if shop else (1, 1, 1, 2, 2, 3, 4, 5, 6, 10, 12, 25))
        high = rng.choice((8, 8, 20, 60, 250) if shop else (20, 120, 900))
        price = rng.uniform(high / 40, high) * scale
        price = float(round(price)) if whole else round(price, 2) if rng.random() < 0.6 else round(price, 1)
        lines.append(Sold(name, mark, quantity, price, round(price * quantity, 2)))
    subtotal = round(sum(line.amount for line in lines), 2)
    discount = round(subtotal * rng.choice((0.02, 0.05, 0.1)), 0 if whole else 2) if rng.random() < 0.25 else 0.0
    rate = rng.choice(rates or draft.lang.data.get("tax_rates", [6, 7, 10, 19, 20]))
    base = subtotal - discount
    tax = base * rate / (100 + rate) if shop else base * rate / 100
    tax = round(tax, 0 if whole else 2)
    shipping = float(round(rng.uniform(3, 25) * scale)) if not shop and rng.random() < 0.3 else 0.0
    exact = round(base + shipping + (0 if shop else tax), 2)
    total = round(round(exact * 20) / 20, 2) if cents and not whole else exact
    return Basket(lines, subtotal, discount, rate, tax, shipping, round(total - exact, 2), total)


def _cut(rng: random.Random, name: str) -> str:
    """A name as a till shortens it: words cut off, vowels left out."""
    parts = []
    for word in name.split():
        if rng.random() < 0.3 and len(word) > 5:
            word = word[0] + "".join(c for c in word[1:] if c not in "aeiou")
        elif rng.random() < 0.4 and len(word) > 5:
            word = word[: rng.randint(4, 6)]
        parts.append(word)
    return " ".join(parts)[: rng.randint(14, 24)].strip()
