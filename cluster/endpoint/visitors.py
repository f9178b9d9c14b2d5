"""Which pages a browser may ask from. With keys all of them: a page that has no key gets nowhere. Without keys those of
this machine alone: any other that its user has open could ask too, with a form, or under a name that it makes lead
here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cluster.endpoint.config import ServeConfig
from decoder.protocol.errors import ChatError

_LOOPBACK = r"localhost|127(\.\d{1,3}){3}|\[::1\]"


class Visitors:
    """The hosts that requests may be for and their pages be from. ``keyless``: no key is needed."""

    def __init__(self, config: ServeConfig, keyless: bool) -> None:
        names = [re.escape(_as_in_urls(name)) for name in config.allow_hosts]
        self._exposed = keyless and not re.fullmatch(_LOOPBACK, _as_in_urls(config.host))
        self._host = rf"({'|'.join([_LOOPBACK, *names])})\.?(:\d+)?" if keyless else None

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises `ChatError` 403 for another Host (DNS rebinding) or Origin (a page elsewhere). Browsers send both,
        Origin with whatever is more than a look at a public file."""
        if self._host is None:
            return
        if self._exposed:  # `interlace serve` had keys, in an environment that this process of a joined cluster lacks
            raise ChatError(403, "the API keys are not known here, and others may reach this; give serve.keys a file")
        host, origin = headers.get("host"), headers.get("origin")
        if host is not None and not re.fullmatch(self._host, host, re.IGNORECASE):
            raise ChatError(403, _refusal(f"for the host {host[:100]!r}"))
        if origin is not None and not re.fullmatch(self._host, _netloc(origin), re.IGNORECASE):
            raise ChatError(403, _refusal(f"from a page at {origin[:100]!r}"))

    def cors(self) -> dict[str, Any]:
        """Arguments of Starlette's CORSMiddleware: who may read the answers."""
        who = {"allow_origins": ("*",)} if self._host is None else {"allow_origin_regex": rf"https?://{self._host}"}
        headers = {"allow_headers": ("*",), "expose_headers": ("x-request-id", "retry-after")}
        return {**who, **headers, "allow_methods": ("*",)}


def _refusal(what: str) -> str:
    return f"without API keys no request {what} is taken; serve.allow_hosts names hosts besides localhost"


def _as_in_urls(host: str) -> str:
    """An address of version 6 has brackets there."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return f"[{address}]" if address.version == 6 else host


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
