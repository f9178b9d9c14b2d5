"""Which addresses a server may fetch from for its clients: public ones, and those that its owner allows."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenAddress(OSError):
    """A host resolves to an address that is not to be fetched from."""


class PublicResolver(AbstractResolver):
    """Resolves hosts for aiohttp and refuses those with any forbidden address.

    The connection is made to the very addresses that were checked: a name that is resolved twice may answer
    otherwise the second time (DNS rebinding).
    """

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The host's addresses, all of them checked."""
        found = await self.look_up(host, port)
        for result in found:
            check_address(result["host"], self._allowed)
        return found

    async def look_up(self, host: str, port: int) -> list[ResolveResult]:
        """What the system says."""
        return await ThreadedResolver().resolve(host, port, socket.AF_UNSPEC)

    async def close(self) -> None:
        """Nothing to close."""


def check_address(text: str, allowed: Sequence[Network] = ()) -> None:
    """Raises `ForbiddenAddress` unless the address is public or allowed."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if any(address in network for network in allowed if network.version == address.version):
        return
    for one in (address, *_embedded(address)):
        site = one.version == 6 and one.is_site_local  # fec0::/10, which Python calls global
        if not one.is_global or one.is_multicast or one.is_reserved or one.is_unspecified or site:
            raise ForbiddenAddress(f"{text} is not a public address")


def literal_address(host: str) -> str | None:
    """The address that a URL's host is in itself, None for a name. Decimal, octal and short forms (2130706433,
    0177.1) are addresses to the C library, so they are here."""
    plain = host.strip("[]").partition("%")[0]
    try:
        return str(ipaddress.ip_address(plain))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(plain)) if plain[:1].isdigit() else None
    except OSError:
        return None


def _embedded(address: Any) -> list[Address]:
    """IPv4 addresses inside an IPv6 one: mapped, 6to4, Teredo, NAT64 and the old compatible form."""
    if address.version == 4:
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or int(address) >> 32 == 0:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]
