"""What a server may be made to fetch: nothing that its clients could not reach themselves."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.abc import ResolveResult

from cluster.endpoint.addresses import ForbiddenAddress, PublicResolver, check_address, literal_address
from cluster.endpoint.config import EndpointLimits
from cluster.endpoint.fetch import Fetcher
from cluster.endpoint.perceiving import Perceiver
from decoder.protocol.attachments import Attachment
from decoder.protocol.errors import ChatError
from decoder.protocol.routing import Route

ALLOWED = "127.0.0.2/32"  # the test's own server; 127.0.0.1 and everything else private stays forbidden


class Site(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path == "/missing":
            self.send_error(404)
        elif self.path == "/stall":
            self.send_response(200)
            self.send_header("content-length", "10")
            self.end_headers()
            self.wfile.write(b"1")
            threading.Event().wait(2)
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(200):
                self.wfile.write(b"x" * 1000)
        elif self.path == "/packed" and "gzip" in self.headers.get("accept-encoding", ""):
            self.send_response(200)
            self.send_header("content-encoding", "gzip")
            self.end_headers()
            self.wfile.write(gzip.compress(b"hello"))
        else:
            self.send_response(200)
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.2:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def fetch(url: str, limit: int = 1000, seconds: float = 5, resolver: type[PublicResolver] = PublicResolver) -> bytes:
    async def get() -> bytes:
        async with Fetcher([ALLOWED], seconds, resolver) as fetcher:
            return await fetcher.get(url, "messages[0].content", limit)

    return asyncio.run(get())


def refusal(url: str, **options: Any) -> ChatError:
    with pytest.raises(ChatError) as caught:
        fetch(url, **options)
    assert caught.value.field == "messages[0].content"
    return caught.value


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("255.255.255.255", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1"),
        *(
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::7f00:1",
            "fec0::1",
            "2002:7f00:1::",
            "::127.0.0.1",
            "2001:db8::1",
        ),
    ],
)
def test_addresses_that_are_not_public_are_forbidden(address: str) -> None:
    with pytest.raises(ForbiddenAddress):
        check_address(address)


def test_public_addresses_are_not() -> None:
    for address in ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"):
        check_address(address)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        *(
            ("2130706433", "127.0.0.1"),
            ("0x7f000001", "127.0.0.1"),
            ("0177.0.0.1", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
        ),
        *(("[::1]", "::1"), ("example.com", None), ("1e100.net", None), ("127.0.0.2", "127.0.0.2")),
    ],
)
def test_every_spelling_of_an_address_is_one(host: str, address: str | None) -> None:
    assert literal_address(host) == address


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://127.1/",
            "http://0/",
            "http://[::1]/",
        ),
        *("http://[::ffff:127.0.0.1]/", "http://localhost/", "http://169.254.169.254/latest/meta-data/"),
        *("http://user:pass@127.0.0.1/", "http://127.0.0.1.:80/", "http://⑫7.0.0.1/", "https://127.0.0.1/"),
    ],
)
def test_a_url_to_a_private_address_is_refused(url: str) -> None:
    error = refusal(url)
    assert error.status == 400
    assert "public address" in error.message or "cannot be fetched" in error.message
    assert "pass" not in error.message


@pytest.mark.parametrize(
    "host", ["127.0.0.2", "\uff11\uff12\uff17.0.0.2", "\u2460\u2461\u2466.0.0.2", "127\u30020\u30020\u30022"]
)
def test_a_host_is_read_as_the_one_that_connects_reads_it(site: str, host: str) -> None:
    """Full-width and circled digits are an address to whoever maps them before connecting."""

    async def get() -> bytes:
        async with Fetcher(seconds=5) as fetcher:
            return await fetcher.get(site.replace("127.0.0.2", host), "messages", 1000)

    with pytest.raises(ChatError, match="public address"):
        asyncio.run(get())


@pytest.mark.parametrize(
    "url", ["http://[", "http://[::1", "http://a:b:c/", "http://a:99999/", "http://", "http://../"]
)
def test_what_is_no_url_is_a_400(url: str) -> None:
    assert refusal(url).status == 400 and "cannot be fetched" in refusal(url).message


def test_all_requests_together_fetch_no_more_than_there_is_room_for(site: str) -> None:
    """Sixteen files of 80 MiB for each of 256 requests are not bounded by the length of their bodies."""
    here = [Attachment("messages[0].content", "a.txt", url=f"{site}/{n}") for n in range(30)]

    async def ask() -> None:
        async with Fetcher([ALLOWED]) as fetcher:
            perceiver = Perceiver({}, fetcher, EndpointLimits(bodies_bytes=1024, files=30))
            with perceiver._room() as other:
                other(1000)
                with pytest.raises(ChatError, match="too much is being fetched") as caught:
                    await perceiver(here, "ocr", Route())
                assert caught.value.status == 429 and caught.value.retry_after
                with pytest.raises(ChatError, match="more than 1024 bytes"):
                    other(100)
            with pytest.raises(ChatError, match="speech_to_text reads"):  # the room is free again
                await perceiver(here, "speech_to_text", Route())

    asyncio.run(ask())


def test_what_servers_would_compress_comes_as_it_is(site: str) -> None:
    assert fetch(f"{site}/packed") == b"hello"


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/", "http://localhost/", "http://[::1]/", "file:///etc/passwd"])
def test_a_redirect_is_checked_like_the_first_url(site: str, target: str) -> None:
    assert fetch(f"{site}/to/{site}/x") == b"hello"
    error = refusal(f"{site}/to/{target}")
    assert error.status == 400 and ("public address" in error.message or "cannot be fetched" in error.message)


def test_redirects_end(site: str) -> None:
    assert "redirects" in refusal(f"{site}/to/" * 7 + f"{site}/x").message


def test_a_name_that_changes_its_address_is_connected_to_as_checked(site: str) -> None:
    """DNS rebinding: the address that is connected to is the one that was checked, not the next answer."""
    port = int(site.rpartition(":")[2])
    answers = iter(["127.0.0.2", "127.0.0.1"])

    class Rebinding(PublicResolver):
        async def look_up(self, host: str, port: int) -> list[ResolveResult]:
            address = next(answers)
            return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    assert fetch(f"http://rebind.test:{port}/x", resolver=Rebinding) == b"hello"
    assert "public address" in refusal(f"http://rebind.test:{port}/x", resolver=Rebinding).message


def test_limits_of_size_and_time(site: str) -> None:
    assert (error := refusal(f"{site}/endless", limit=5000)).status == 413 and "5000 bytes" in error.message
    assert refusal(f"{site}/x", limit=4).status == 413
    assert "within 0.3 s" in refusal(f"{site}/stall", seconds=0.3).message
    assert "status 404" in refusal(f"{site}/missing").message
    assert "cannot be fetched" in refusal("http://no-such-host.invalid/").message
