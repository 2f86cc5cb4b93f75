"""Which addresses of a network may be asked: public ones, and those that are listed."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
_NAT64: Final = ip_network("64:ff9b::/96")
_LAST_32: Final = 0xFFFF_FFFF


def may_ask(text: str, listed: Sequence[Network]) -> bool:
    """Return whether the address may be asked; one that leads to another counts as that one."""
    try:
        address = ip_address(text)
    except ValueError:  # with a zone, as link-local ones have
        return False
    return all(_is_allowed(each, listed) for each in _meant(address))


def _is_allowed(address: Address, listed: Sequence[Network]) -> bool:
    if any(address in network for network in listed):
        return True
    return address.is_global and not address.is_multicast and not address.is_reserved


def _meant(address: Address) -> Sequence[Address]:
    """Return the addresses that a connection to ``address`` may lead to."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & _LAST_32),)
    tunnels = (address.sixtofour, *(address.teredo or ()))
    return (address, *(each for each in tunnels if each is not None))
