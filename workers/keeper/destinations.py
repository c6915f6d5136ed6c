"""Where webhooks may go: public addresses, and networks that the operator names.

Whoever names a webhook lets this machine open a connection for them. Without a check they could
reach what only this machine reaches: its own ports, its network, a cloud's metadata service.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address

#: Networks that are never public, whatever `is_global` of a version of Python says of them: it
#: follows IANA's registries as they were at its release, calls global what only a cloud's own
#: machines reach, and takes an IPv6 address that stands for an IPv4 address at its word.
_NEVER_PUBLIC = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network (RFC 791); Linux takes 0.0.0.0 for loopback
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # carriers (RFC 6598), and Alibaba's metadata at 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host, on every virtual machine
        "169.254.0.0/16",  # link-local (RFC 3927), and most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocols (RFC 6890), and Oracle's metadata at 192.0.0.192
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.31.196.0/24",  # AS112 (RFC 7535)
        "192.52.193.0/24",  # AMT (RFC 7450)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112 (RFC 7534)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "::/16",  # unspecified, loopback, IPv4-compatible (RFC 4291)
        "64:ff9b::/96",  # NAT64: stands for any IPv4 address (RFC 6052)
        "64:ff9b:1::/48",  # NAT64 of one's own network (RFC 8215)
        "100::/64",  # discarded (RFC 6666)
        "2001::/23",  # IETF protocols (RFC 2928): Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4: stands for any IPv4 address (RFC 3056)
        "3fff::/20",  # documentation (RFC 9637)
        "5f00::/16",  # segment routing (RFC 9602)
        "fc00::/7",  # unique local (RFC 4193), and Amazon's metadata at fd00:ec2::254
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local (RFC 3879)
        "ff00::/8",  # multicast
    )
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
    if any(address in network for network in _NEVER_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
