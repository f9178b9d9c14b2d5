"""Fetching what a request refers to by URL, within limits and from public addresses only."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from types import TracebackType
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from cluster.endpoint.addresses import ForbiddenAddress, Network, PublicResolver, check_address, literal_address
from decoder.protocol.errors import ChatError, bad_request

REDIRECTS = 5
# identity: what comes compressed is not unpacked here, see `_client`.
_HEADERS = {"user-agent": "interlace", "accept": "*/*", "accept-encoding": "identity"}


class Fetcher:
    """Fetches URLs. One per gateway; a context manager, or `close` it."""

    def __init__(
        self, allowed: Sequence[str] = (), seconds: float = 30.0, resolver: type[PublicResolver] = PublicResolver
    ) -> None:
        self._allowed: list[Network] = [ipaddress.ip_network(network, strict=False) for network in allowed]
        self._resolver = resolver(self._allowed)
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, field: str, limit: int, grow: Callable[[int], None] = lambda _: None) -> bytes:
        """The bytes behind a URL. Raises `ChatError`: 400 for what must not or cannot be fetched, 413 for too much.
        ``grow`` is told of every block's length as it comes, and may raise."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(url, field, limit, grow)
        except TimeoutError:
            raise bad_request(field, f"{_shown(url)} was not fetched within {self._seconds:g} s") from None
        except ForbiddenAddress:
            raise bad_request(field, f"{_shown(url)} is not at a public address, or redirects to such a one") from None
        except (aiohttp.ClientError, OSError, ValueError, UnicodeError) as error:
            # aiohttp wraps what a resolver raises; the cause may be ours.
            if isinstance(error.__cause__, ForbiddenAddress) or "not a public address" in str(error):
                raise bad_request(field, f"{_shown(url)} is not at a public address") from None
            raise bad_request(field, f"{_shown(url)} cannot be fetched ({type(error).__name__})") from None

    async def close(self) -> None:
        """Close idle connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _follow(self, url: str, field: str, limit: int, grow: Callable[[int], None]) -> bytes:
        """Redirects are followed here, so that each target is checked like the first."""
        for _ in range(REDIRECTS + 1):
            target = self._checked(url)
            async with self._client().get(target, allow_redirects=False, headers=_HEADERS) as response:
                if response.status in (301, 302, 303, 307, 308) and "location" in response.headers:
                    url = urljoin(url, response.headers["location"])
                    continue
                if response.status != 200:
                    raise bad_request(field, f"{_shown(url)} answered with status {response.status}")
                return await _body(response, field, limit, grow)
        raise bad_request(field, f"more than {REDIRECTS} redirects from {_shown(url)}")

    def _checked(self, url: str) -> URL:
        """The URL as aiohttp will use it: another parser may read another host in it, as in http://\uff11\uff12\uff17.0.0.1."""
        target = URL(url)
        if target.scheme not in ("http", "https") or not target.raw_host:
            raise ValueError(f"not an http address: {url[:100]}")
        literal = literal_address(target.raw_host)
        if literal is not None:  # aiohttp does not ask its resolver for these
            check_address(literal, self._allowed)
        return target

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No cookies, no proxies from the environment, and a fresh look-up for every connection.
            connector = aiohttp.TCPConnector(resolver=self._resolver, use_dns_cache=False, limit=64, force_close=True)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=20),
                auto_decompress=False,  # a small body must not become a large one; files are compressed in themselves
            )
        return self._session


async def _body(response: aiohttp.ClientResponse, field: str, limit: int, grow: Callable[[int], None]) -> bytes:
    declared = response.content_length
    if declared is not None and declared > limit:
        raise _too_large(field, limit)
    found = bytearray()
    async for block in response.content.iter_chunked(1 << 16):
        found += block
        grow(len(block))
        if len(found) > limit:
            raise _too_large(field, limit)
    if not found:
        raise bad_request(field, "the URL has no content")
    return bytes(found)


def _too_large(field: str, limit: int) -> ChatError:
    return ChatError(413, f"the file is larger than {limit} bytes", field=field)


def _shown(url: str) -> str:
    """A URL as an error may show it: without what may be a secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # as http://[::1 and http://a:b
        return "the URL"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"[:200]
