"""API keys: who may ask, how often, and how much at once."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cluster.endpoint.config import EndpointLimits
from decoder.protocol.errors import ChatError
from encoders.failures import InterlaceError

ENVIRONMENT = "INTERLACE_API_KEYS"
_RELOAD_SECONDS = 1.0
_log = logging.getLogger(__name__)
_SHORTEST = 8
_HASHED = "sha256:"
_COMMENT = re.compile(r"(?:^|\s)#")


@dataclass(slots=True)
class Client:
    """One key's budget: a token bucket of requests, and how many are under way."""

    name: str
    tokens: float
    refilled: float
    running: int = 0


@dataclass(slots=True)
class KeyRing:
    """The keys of a file and of the environment variable INTERLACE_API_KEYS (by comma), the file read again when it
    changes.

    A line of the file is ``KEY [NAME]``, or ``sha256:HEX [NAME]`` for a key that shall not stand in a file; ``#``
    starts a comment at a line's start and after white space. Without any keys everybody is let in, as one client.
    """

    limits: EndpointLimits
    file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    clock: Callable[[], float] = time.monotonic
    _digests: dict[bytes, str] = field(default_factory=dict)
    _clients: dict[str, Client] = field(default_factory=dict)
    _version: tuple[int, int] | None = None
    _looked: float = float("-inf")

    def __post_init__(self) -> None:
        self._reload()

    @property
    def open(self) -> bool:
        """Whether no key is needed."""
        return self.file is None and not self._digests

    def client(self, headers: Mapping[str, str]) -> Client:
        """Whose request it is. Raises `ChatError` 401; the message does not tell a wrong key from a missing one's look.

        Every known key is compared, each in constant time: how long it takes tells nothing of the keys.
        """
        self._reload()
        if self.open:
            return self._of("everybody")
        given = headers.get("authorization", "")
        scheme, _, token = given.partition(" ")
        key = token.strip() if scheme.lower() == "bearer" and token else given.strip()
        key = key or headers.get("x-api-key", "").strip()
        digest, name = _digest(key), None
        for known, owner in self._digests.items():
            if hmac.compare_digest(known, digest):
                name = owner
        if not key or name is None:
            raise ChatError(401, "a valid API key is needed: Authorization: Bearer KEY")
        return self._of(name)

    @contextmanager
    def admitted(self, client: Client) -> Iterator[None]:
        """Count a request of this client. Raises `ChatError` 429 when it asks too often or too much at once."""
        now = self.clock()
        limits = self.limits
        client.tokens = min(limits.per_key_burst, client.tokens + (now - client.refilled) * limits.per_key_rate)
        client.refilled = now
        if client.tokens < 1:
            wait = (1 - client.tokens) / limits.per_key_rate
            raise ChatError(429, f"more than {limits.per_key_rate:g} requests a second", retry_after=wait)
        if client.running >= limits.per_key_requests:
            raise ChatError(429, f"{client.running} requests of this key are under way", retry_after=1)
        client.tokens -= 1
        client.running += 1
        try:
            yield
        finally:
            client.running -= 1

    def _of(self, name: str) -> Client:
        found = self._clients.get(name)
        if found is None:
            found = self._clients[name] = Client(name, self.limits.per_key_burst, self.clock())
        return found

    def _reload(self) -> None:
        now = self.clock()
        if now - self._looked < _RELOAD_SECONDS:
            return
        self._looked = now
        try:
            version = self._stat()
            if version != self._version or not self._digests:
                self._digests = dict(self._read())
                self._version = version
        except (OSError, ValueError, InterlaceError) as error:
            if self._version is None:
                raise InterlaceError(f"cannot read the API keys in {self.file}: {error}") from error
            # A file that is being replaced or edited may be away or broken for a moment: the keys that were there stay.
            _log.warning("the API keys in %s were not read again: %s", self.file, error)

    def _stat(self) -> tuple[int, int]:
        if self.file is None:
            return 0, 0
        found = self.file.stat()
        return found.st_mtime_ns, found.st_size

    def _read(self) -> Iterator[tuple[bytes, str]]:
        lines = self.environment.get(ENVIRONMENT, "").split(",")
        lines += self.file.read_text("utf-8").splitlines() if self.file is not None else []
        for number, line in enumerate(lines):
            key, _, name = _COMMENT.split(line, 1)[0].strip().partition(" ")
            if not key:
                continue
            name = name.strip() or f"key-{number + 1}"
            if key.startswith(_HASHED):
                yield bytes.fromhex(key.removeprefix(_HASHED)), name
            elif len(key) < _SHORTEST:
                raise InterlaceError(f"the API key {name} has fewer than {_SHORTEST} characters; it would be guessed")
            else:
                yield _digest(key), name


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
