"""Where webhooks may go: public addresses, and networks that the operator names.

Whoever names a webhook lets this machine open a connection for them. Without a check they could
reach what only this machine reaches: its own ports, its neighbours, a cloud's metadata service.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address

#: IPv6 networks that stand for IPv4 addresses, private ones too: NAT64 (RFC 6052, RFC 8215), 6to4
#: (RFC 3056) and Teredo (RFC 4380).
_TUNNELS = [
    ipaddress.IPv6Network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
]
_LONGEST = 2000
_PORTS = {"http": 80, "https": 443}


class Refused(ValueError):
    """A webhook may not go there; the message says why."""


@dataclass(frozen=True, slots=True)
class Destination:
    """An address that was resolved and found allowed."""

    url: SplitResult
    address: Address

    @property
    def host(self) -> str:
        """The name that the caller gave."""
        return self.url.hostname or ""

    @property
    def pinned(self) -> str:
        """The URL with the resolved address in the place of the name.

        Resolving the name again would let its owner answer with another address.
        """
        literal = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        port = f":{self.url.port}" if self.url.port else ""
        return self.url._replace(netloc=literal + port, fragment="").geturl()


def resolve(url: str, networks: Sequence[str]) -> Destination:
    """Where a URL leads.

    Raises:
        Refused: it is no URL for a webhook, its name cannot be resolved, or one of its addresses
            is neither public nor in `networks`.
    """
    parts = _parse(url)
    allowed = [ipaddress.ip_network(network) for network in networks]
    addresses = _addresses(parts)
    for address in addresses:
        if not _is_public(address) and not any(address in network for network in allowed):
            raise Refused(
                f"it leads to {address}, which is no public address and in no network of "
                "INFERENCE_WEBHOOK_NETWORKS"
            )
    return Destination(parts, addresses[0])


def _parse(url: str) -> SplitResult:
    if len(url) > _LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        raise Refused(f"it must be an address of at most {_LONGEST} printable ASCII characters")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise Refused(f"it is no address: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Refused("it must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise Refused("it must hold no user name or password")
    return parts


def _addresses(parts: SplitResult) -> list[Address]:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refused(f"the name {host!r} cannot be resolved") from None
    return [_unwrapped(ipaddress.ip_address(entry[4][0])) for entry in entries]


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and any(address in tunnel for tunnel in _TUNNELS):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
