"""What one language writes and how: labels, questions, dates, amounts, words."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

HELD_OUT = ("da", "ro")
"""Languages that training never sees."""

_ALIASES = {
    "seller_address": "address",
    "sender_address": "address",
    "personal_address": "address",
    "customer_address": "address",
}
_FOLDER = Path(__file__).with_name("languages")
_NAMES = Path(__file__).with_name("names.toml")
T = TypeVar("T")


def kept(options: Sequence[T], held_out: bool) -> Sequence[T]:
    """The training part of some options, or the held-out one: the last of three or more is never trained on."""
    if len(options) < 3:
        return options
    return options[-1:] if held_out else options[:-1]


@dataclass(frozen=True)
class Language:
    """One language as its file under ``languages/`` gives it."""

    code: str
    data: dict[str, Any]
    names: dict[str, list[str]]

    @property
    def script(self) -> str:
        """ISO 15924."""
        return {"zh": "Hani", "ja": "Jpan"}.get(self.code, "Latn")

    @property
    def letters(self) -> str:
        """Letters that a face must have."""
        return str(self.data["letters"])

    @property
    def wide(self) -> bool:
        """Whether words are written without spaces."""
        return self.script != "Latn"

    def label(self, rng: random.Random, key: str, held_out: bool) -> str:
        """How a document names a field."""
        key = _ALIASES.get(key, key)
        more = self.data.get("more_labels", {}).get(key, [])
        if more and not held_out and rng.random() < 0.4:
            return str(rng.choice(more))
        return str(rng.choice(kept(self.data["labels"][key], held_out)))

    def title(self, rng: random.Random, key: str, held_out: bool) -> str:
        """What a document of some kind is called."""
        more = self.data.get("more_titles", {}).get(key, [])
        if more and not held_out and rng.random() < 0.4:
            return str(rng.choice(more))
        return str(rng.choice(kept(self.data["titles"][key], held_out)))

    def name(self, rng: random.Random, key: str) -> str:
        """How a question names a field."""
        if key in self.data.get("names", {}):
            return str(rng.choice(self.data["names"][key]))
        if self.code == "en":
            return key.replace("_", " ")
        return str(rng.choice(self.data["labels"][_ALIASES.get(key, key)][:2]))

    def ask(self, rng: random.Random, kind: str, held_out: bool, **parts: str) -> str:
        """A question of some kind."""
        parts["Name"] = parts["name"][:1].upper() + parts["name"][1:] if "name" in parts else ""
        return str(rng.choice(kept(self.data["asks"][kind], held_out))).format(**parts)

    def number(self, value: float, places: int = 2) -> str:
        """A number as it is written."""
        whole = f"{value:,.{places}f}"
        return whole.translate(str.maketrans({",": self.data["group"], ".": self.data["decimal"]}))

    def day(self, form: str, when: date) -> str:
        """A date in one of the language's forms."""
        months = self.data.get("months") or [str(n) for n in range(1, 13)]
        month = months[when.month - 1]
        return form.format(
            d=when.day, m=when.month, Y=when.year, y=when.year % 100, month=month, mon=month[:3], R=when.year - 2018
        )


@lru_cache(maxsize=1)
def languages() -> dict[str, Language]:
    """Every language by its ISO 639-1 code."""
    names = tomllib.loads(_NAMES.read_text("utf-8"))
    return {
        path.stem: Language(path.stem, tomllib.loads(path.read_text("utf-8")), names[path.stem])
        for path in sorted(_FOLDER.glob("*.toml"))
    }
