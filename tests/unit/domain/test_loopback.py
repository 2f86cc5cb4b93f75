"""Which addresses may be served to everybody."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.domain.access import is_loopback


@given(st.ip_addresses(network="127.0.0.0/8"))
def test_127_and_what_follows_is_this_machine_alone(address: IPv4Address) -> None:
    assert is_loopback(str(address))
    assert is_loopback(f"::ffff:{address}")


@pytest.mark.parametrize("address", ["::1", "0:0:0:0:0:0:0:1", "::1%1"])
def test_so_is_ipv6s_loopback_address(address: str) -> None:
    assert is_loopback(address)


@given(st.ip_addresses().filter(lambda one: not one.is_loopback))
def test_every_other_address_is_reached_by_other_machines(
    address: IPv4Address | IPv6Address,
) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    assert is_loopback(str(address)) == (mapped is not None and mapped.is_loopback)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "::ffff:0.0.0.0", "", "localhost", "x"])  # noqa: S104
def test_all_addresses_at_once_and_what_is_no_address_are_not_this_machine_alone(
    address: str,
) -> None:
    assert not is_loopback(address)
