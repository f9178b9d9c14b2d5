"""A document while it is made: what is printed, and what it says."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

from pipelines.train.hybrid.documents import words
from pipelines.train.hybrid.documents.faces import Faces
from pipelines.train.hybrid.documents.language import Language, kept
from pipelines.train.hybrid.documents.sheet import Sheet, Style

_COUNTRY = 0.15  # of the addresses of a training: where few had one, the answer ended before it


@dataclass(slots=True)
class Fact:
    """A field of the document: its key, its value as printed (rows joined by a space) and where it stands."""

    key: str
    value: str
    lines: list[int]
    page: int = 0
    asked: bool = True  # False for what is printed more than once in different ways


@dataclass(slots=True)
class Table:
    """Named rows. ``columns``: keys; ``heads``: as printed; ``numbers``: values of the columns that count."""

    columns: list[str]
    heads: list[str]
    rows: list[list[str]]
    numbers: dict[str, list[float]]
    lines: list[list[int]] = field(default_factory=list)
    page: int = 0


class Draft:
    """One document. A kind's builder writes on ``sheet`` and notes facts and tables."""

    def __init__(
        self, rng: random.Random, lang: Language, faces: Faces, *, held_out: bool, like: Draft | None = None
    ) -> None:
        """``like``: a document of the same hand, whose currency and form of dates this one shares."""
        self.rng, self.lang, self.held_out, self.faces = rng, lang, held_out, faces
        self.facts: list[Fact] = []
        self.tables: list[Table] = []
        self.sheets: list[Sheet] = []
        self.layout = ""
        self.kind = ""  # as `generate` names it
        self.day_form = str(rng.choice(lang.data["dates"]))
        more = lang.data.get("more_dates", [])
        if more and not held_out and rng.random() < 0.3:
            self.day_form = str(rng.choice(more))
        self.money_form = str(rng.choice(lang.data["money"]))
        self.places = int(lang.data.get("places_of_money", 2))
        self.days: dict[str, date] = {}
        self.amounts: dict[str, float] = {}
        self.given: dict[str, list[str]] = {}  # values that are not to be made up
        self.shown: dict[str, list[str]] = {}  # by parts of a window
        self.alike = like is not None
        if like is not None:
            self.day_form, self.money_form = like.day_form, like.money_form
        self.bare_money = rng.random() < 0.4  # amounts of the table carry no currency

    # What is written

    def face(self, *styles: str) -> Style:
        """A face of one of some styles, at 1 px; Chinese and Japanese have only one style."""
        chosen = ("cjk",) if self.lang.wide else styles
        return Style(self.faces.pick(self.rng, self.lang.letters, chosen, held_out=self.held_out), 1)

    def label(self, key: str) -> str:
        """How this document names a field."""
        return self.lang.label(self.rng, key, self.held_out)

    def title(self, key: str) -> str:
        """What this document is called."""
        return self.lang.title(self.rng, key, self.held_out)

    def day(self, start: int = 2005, end: int = 2026) -> date:
        """Some day."""
        return date(start, 1, 1) + timedelta(days=self.rng.randint(0, (end - start) * 365))

    def dated(self, when: date) -> str:
        """A day in the form of this document."""
        return self.lang.day(self.day_form, when)

    def money(self, value: float, bare: bool = False) -> str:
        """An amount in the currency of this document."""
        written = self.lang.number(value, self.places)
        return written if bare else self.money_form.format(written)

    def value(self, key: str) -> list[str]:
        """Rows of a made-up value for the fields that need no arithmetic."""
        rng, lang, held = self.rng, self.lang, self.held_out
        if key in self.given:
            return self.given[key]
        match key:
            case "company" | "sender" | "bank":
                return [words.company(rng, lang, held)]
            case "address" | "personal_address":
                rows = words.address(rng, lang, held)
                if not held and rng.random() < _COUNTRY and (countries := lang.data.get("countries")):
                    rows = [*rows, rng.choice(countries)]
                return rows
            case "phone":
                return [words.phone(rng)]
            case "email":
                return [words.email(rng, held)]
            case "website":
                return [f"www.{words.made_up(rng, held, 2)}.{rng.choice(('com', 'net', 'org'))}"]
            case "customer" | "name" | "contact_person" | "author" | "recipient" | "cashier":
                return [words.person(rng, lang, held)]
            case "date" | "due_date" | "valid_until":
                issued = self.days.get("date")
                after = self.rng.choice((7, 10, 14, 21, 30, 45, 60))
                self.days[key] = issued + timedelta(days=after) if issued and key != "date" else self.day()
                return [self.dated(self.days[key])]
            case "birth_date":
                self.days[key] = self.day(1940, 2006)
                return [self.dated(self.days[key])]
            case "birth_place":
                return [rng.choice(words.part(lang.names["city"], held))]
            case "time":
                if lang.code == "en" and rng.random() < 0.35:
                    half, seconds = (
                        rng.choice(("AM", "PM", " AM", " PM", "pm")),
                        rng.choice(("", f":{rng.randint(0, 59):02}")),
                    )
                    return [f"{rng.randint(1, 12):02}:{rng.randint(0, 59):02}{seconds}{half}"]
                return [
                    f"{rng.randint(7, 21):02}:{rng.randint(0, 59):02}"
                    + rng.choice(("", "", f":{rng.randint(0, 59):02}"))
                ]
            case "iban":
                return [words.iban(rng)]
            case "nationality":
                return [rng.choice(lang.data["nationalities"])]
            case "department":
                return [rng.choice(lang.data["departments"])]
            case "position":
                return [rng.choice(lang.data["positions"])]
            case "payment_method":
                return [rng.choice(lang.data["payments"])]
            case "subject":
                return [rng.choice(lang.data["subjects"]).format(item=words.item(rng, lang, held))]
            case "version":
                return [f"{rng.randint(1, 9)}.{rng.randint(0, 12)}"]
            case "tax_id":
                return [words.code(rng, rng.choice(("999999999999", "AA999999999", "99-9999999", "99 999 999 999")))]
            case _:
                return [words.code(rng)]

    def note(self, key: str, value: str | list[str], lines: list[int], asked: bool = True) -> None:
        """Remember a field that was printed on the current sheet."""
        joined = value if isinstance(value, str) else ("" if self.lang.wide else " ").join(value)
        self.facts.append(Fact(key, joined, lines, len(self.sheets) - 1, asked))

    def choose(self, *options: str) -> str:
        """One of the layout options of a kind; the last of three or more is held out. Named in ``layout``."""
        chosen = self.rng.choice(kept(options, self.held_out))
        self.layout += ("." if self.layout else "") + chosen
        return chosen

    def sheet(self, width: int, margin: int, leading: float = 1.35) -> Sheet:
        """A new page."""
        self.sheets.append(Sheet(width, margin, self.lang.script, leading))
        return self.sheets[-1]
