"""Which nodes a pool may run on, by Ray's node labels: what a setting says, and what a plan makes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from encoders.failures import InterlaceError

_ONE_OF = re.compile(r"^(!?)in\((.*)\)$")


def label_selector(text: str) -> dict[str, str]:
    """``key=value,other=in(a,b)`` as Ray's `label_selector`. Values may be ``!value``, ``in(...)`` and ``!in(...)``.

    Raises InterlaceError for what has no key and value."""
    selector = {}
    for piece in re.split(r",(?![^(]*\))", text):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not (key and equals and value):
            raise InterlaceError(f"{text!r} names no nodes: write KEY=VALUE, such as ray.io/accelerator-type=L4")
        selector[key] = value
    return selector


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether Ray would take a node with these labels."""
    return all(_fits(wanted, labels.get(key)) for key, wanted in selector.items())


def _fits(wanted: str, found: str | None) -> bool:
    if listed := _ONE_OF.match(wanted):
        values = {value.strip() for value in listed[2].split(",")}
        return (found in values) != bool(listed[1])
    return found != wanted[1:] if wanted.startswith("!") else found == wanted
