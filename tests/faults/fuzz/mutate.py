"""Mutations of a file. The same (kind, number) always gives the same bytes out of the same seeds."""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Callable

from tests.faults.fuzz.seeds import seeds

_BYTES = bytes([0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x20, 0x2D])
_INTEGERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1)
_NUMBERS = (b"0", b"-1", b"1", b"65536", b"2147483648", b"99999999999999999999", b"-0.0", b"1e30", b"NaN", b"0.0000001")
_DIGITS = re.compile(rb"\d+")
_TOKEN = re.compile(rb"</?[a-zA-Z:]+[^>]{0,80}>|/[A-Za-z]+|\d+ \d+ R|<<|>>|\b(?:obj|endobj|stream|endstream|null)\b")


def mutated(kind: str, number: int) -> bytes:
    """The file of a case."""
    rng = random.Random(f"{kind}:{number}")
    data = seeds()[kind]
    if data.startswith(b"PK") and rng.random() < 0.8:
        return _inside_zip(data, rng)
    return _several(data, rng, keep=16 if rng.random() < 0.7 else 0)


def _inside_zip(data: bytes, rng: random.Random) -> bytes:
    """The archive with some of its members mutated, so that the damage gets past the inflater and its checksum."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            member = source.read(name)
            if name == "mimetype":
                target.writestr(name, member, zipfile.ZIP_STORED)
            elif rng.random() < 0.9:
                target.writestr(name, _several(member, rng, keep=0) if rng.random() < 0.5 else member)
    return out.getvalue()


def _several(data: bytes, rng: random.Random, keep: int) -> bytes:
    head, body = data[:keep], bytearray(data[keep:])
    for _ in range(rng.choice((1, 1, 2, 3, 5, 9))):
        if body:
            rng.choice(_MUTATIONS)(body, rng)
    return head + bytes(body)


def _flip(body: bytearray, rng: random.Random) -> None:
    body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)


def _byte(body: bytearray, rng: random.Random) -> None:
    body[rng.randrange(len(body))] = rng.choice(_BYTES)


def _noise(body: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(body))
    size = rng.choice((1, 4, 16, 200))
    body[at : at + size] = rng.randbytes(min(size, len(body) - at))


def _integer(body: bytearray, rng: random.Random) -> None:
    size = rng.choice((2, 4, 8))
    at = rng.randrange(max(len(body) - size, 1))
    value = rng.choice(_INTEGERS) & ((1 << 8 * size) - 1)
    body[at : at + size] = value.to_bytes(size, rng.choice(("big", "little")))


def _number(body: bytearray, rng: random.Random) -> None:
    found = list(_DIGITS.finditer(body))
    if found:
        match = rng.choice(found)
        body[match.start() : match.end()] = rng.choice(_NUMBERS)


def _tokens(body: bytearray, rng: random.Random) -> None:
    """One token of PDF or XML in the place of another, or twice, or gone."""
    found = list(_TOKEN.finditer(bytes(body)))
    if found:
        one, other = rng.choice(found), rng.choice(found)
        body[one.start() : one.end()] = rng.choice((other[0], other[0] + one[0], b"", one[0] * 50))


def _truncate(body: bytearray, rng: random.Random) -> None:
    del body[rng.randrange(len(body)) :]


def _cut(body: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(body))
    del body[at : at + rng.choice((1, 2, 7, 64, 1000))]


def _repeat(body: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(body))
    piece = bytes(body[at : at + rng.choice((1, 8, 64, 500))])
    body[at:at] = piece * rng.choice((1, 2, 30))


def _splice(body: bytearray, rng: random.Random) -> None:
    """A stretch of another format."""
    other = seeds()[rng.choice(sorted(seeds()))]
    start, at = rng.randrange(len(other)), rng.randrange(len(body))
    body[at:at] = other[start : start + rng.choice((16, 200, 3000))]


_MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _byte, _noise, _integer, _integer, _number, _number),
    *(_tokens, _tokens, _truncate, _cut, _repeat, _splice),
)
