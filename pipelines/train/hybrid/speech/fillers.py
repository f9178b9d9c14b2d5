"""Names, things, amounts and days that calls speak of, chosen for having one usual spelling when heard.

A filler is a training one or a held-out one by its hash, as words are in `pipelines.train.script.texts`.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

FIRST = (
    "Anna", "Oliver", "Peter", "Maria", "Daniel", "Emma", "Laura", "Thomas", "Robert", "Susan", "Martin", "Helen",
    "George", "Nancy", "Victor", "Linda", "Julia", "Kevin", "Alice", "Oscar", "Rachel", "Henry", "Olivia",
    "Frank", "Diana", "Walter", "Sandra", "Edward", "Monica", "Patrick", "Leonard", "Barbara", "Albert", "Rosa",
    "Samuel", "Victoria", "David", "Angela", "Michael", "Jessica", "Paul", "Richard", "Rebecca", "Benjamin",
    "Charlotte", "William", "Jennifer", "Emily", "Andrew", "Margaret", "Charles", "Sophie", "Adam", "Natalie",
    "Gregory", "Judith", "Raymond", "Pamela", "Donald", "Ruth",
)  # fmt: skip
LAST = (
    "Miller", "Wilson", "Taylor", "Anderson", "Johnson", "Roberts", "Baker", "Carter", "Cooper", "Turner", "Parker",
    "Walker", "Morgan", "Harrison", "Foster", "Hughes", "Murphy", "Coleman", "Jenkins", "Sullivan", "Fisher",
    "Marshall", "Hamilton", "Graham", "Wallace", "Harper", "Lawson", "Porter", "Spencer", "Warner", "Chapman",
    "Hunter", "Mason", "Palmer", "Webster", "Dixon", "Bishop", "Campbell", "Edwards", "Ferguson", "Gibson",
    "Henderson", "Jackson", "King", "Lewis", "Mitchell", "Nelson", "Peterson", "Richardson", "Simpson", "Thompson",
    "Wood", "Young", "Adams", "Bradley", "Crawford", "Dawson", "Franklin",
)  # fmt: skip
COMPANIES = tuple(
    f"{name} {trade}"
    for name in ("Riverside", "Northfield", "Sunrise", "Oakwood", "Silver Lake", "Victory", "Harbor", "Maple Street",
                 "Central", "Atlantic", "Blue Mountain", "Evergreen", "Golden Bridge", "Lincoln", "Diamond")
    for trade in ("Furniture", "Supplies", "Dental", "Motors", "Books", "Travel", "Hotel", "Garden Center", "Electric")
)  # fmt: skip
ITEMS: tuple[tuple[str, str], ...] = tuple(
    (name, name + "s")
    for name in (
        "chair", "desk", "lamp", "table", "printer", "keyboard", "monitor", "coffee machine", "jacket", "blanket",
        "mirror", "ladder", "drill", "bicycle", "heater", "tent", "backpack", "suitcase", "toaster", "pillow", "carpet",
        "guitar", "umbrella", "helmet", "sofa", "camera", "freezer", "blender", "bookcase", "curtain", "cushion",
        "lawn mower", "sewing machine", "telephone", "projector", "whiteboard", "battery charger", "garden hose",
        "toolbox", "water filter", "dinner plate", "wine glass", "candle", "basket", "radio", "headset",
        "office chair", "filing cabinet", "door handle", "paint brush", "vacuum cleaner", "washing machine",
    )
)  # fmt: skip
COLOURS = ("red", "blue", "green", "black", "white", "brown", "yellow", "silver", "orange", "purple")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
CITIES = (
    "Boston", "Chicago", "Denver", "Seattle", "Dallas", "Houston", "Phoenix", "Portland", "Atlanta", "Miami", "Detroit",
    "London", "Manchester", "Dublin", "Toronto", "Sydney", "Berlin", "Madrid", "Vienna", "Chester", "Oxford", "Bristol",
)  # fmt: skip
PLACES = (
    "the front door", "the back door", "the office", "the garage", "the reception desk", "the warehouse",
    "the neighbor's house", "the side entrance", "the kitchen", "the garden",
)  # fmt: skip
FAULTS = (
    "it was broken", "it was damaged", "it had the wrong color", "it was too small", "it was too big",
    "it makes a loud noise", "it does not turn on", "a part was missing", "it came too late", "it has a scratch",
)  # fmt: skip
VISITS = (
    "a checkup", "a haircut", "a cleaning", "an eye test", "a tooth repair", "an oil change", "a piano lesson",
    "a blood test", "a massage", "a tax meeting", "a job interview", "a driving lesson", "a house viewing",
)  # fmt: skip
PAYMENTS = ("credit card", "bank transfer", "cash", "check")
SMALL = ("three", "five", "six", "seven", "eight", "nine")
"""Whisper prints numbers below ten as words, but hears "for" for four and "too" for two."""
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORDS = (
    *FIRST, *LAST, *COMPANIES, *(word for pair in ITEMS for word in pair), *COLOURS, *DAYS, *MONTHS, *CITIES, *PLACES,
    *FAULTS, *VISITS, *PAYMENTS, *SMALL,
)  # fmt: skip


def kept_back(filler: str) -> bool:
    """Whether a name or thing belongs to the evaluation."""
    return zlib.crc32(b"call " + filler.encode()) % 5 == 0


def pick(rng: random.Random, options: Sequence[str], held_out: bool) -> str:
    """One of the options that are on this side of the split."""
    return rng.choice([option for option in options if kept_back(option) == held_out])


def item(rng: random.Random, held_out: bool) -> tuple[str, str]:
    """A thing, in the singular and in the plural."""
    return rng.choice([pair for pair in ITEMS if kept_back(pair[0]) == held_out])


def person(rng: random.Random, held_out: bool) -> str:
    """First and last name."""
    return f"{pick(rng, FIRST, held_out)} {pick(rng, LAST, held_out)}"


def amount(rng: random.Random) -> int:
    """Whole dollars, said in few words and printed as $45."""
    return rng.choice((rng.randrange(12, 100), rng.randrange(100, 1000, 10), rng.randrange(15, 100, 5)))


def ordinal(day: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    ending = "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"
