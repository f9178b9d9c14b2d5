"""What the tokens of a JSON answer are, for their weights in the loss: names of properties, which the schema writes and
the decoder does not, the tokens that say whether there is a value, and the values."""

from __future__ import annotations

import re
from collections.abc import Sequence

NAME, THERE, NULL, REST = "json name", "json there", "json null", "json"
"""Names with what parts them from the value before; the first token of a value; that of null or ""; all else."""
_STRING = r'"(?:[^"\\]|\\.)*"'
_PIECE = re.compile(rf"(?P<name>(?:, |^\{{)?{_STRING}:)|(?P<value> ?(?:{_STRING}|null|true|false|-?\d[\d.eE+-]*))")


def parts_of(answer: str, ends: Sequence[int]) -> list[str]:
    """The part that every token of a JSON answer is; ``ends`` are the characters at which tokens end."""
    found = [REST] * len(ends)
    token = 0
    for piece in _PIECE.finditer(answer):
        begin, end = piece.span()
        while ends[token] <= begin:
            token += 1
        if piece["name"] is None:
            found[token] = NULL if piece["value"].strip() in ("null", '""') else THERE
            continue
        at = token if not token or ends[token - 1] >= begin else token + 1  # one that begins before is of the value
        while at < len(ends) and ends[at] <= end:
            found[at] = NAME
            at += 1
    return found
