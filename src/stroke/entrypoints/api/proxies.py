"""What the proxies in front of the service say of the client, believed of those we know only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from stroke.domain.access import is_loopback

_PREFIX: Final = re.compile(rb"(/[A-Za-z0-9._~-]+)*/?")
_HOST: Final = re.compile(rb"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_WITH_PORT: Final = re.compile(r'"?\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?"?|([0-9.]+):[0-9]+')
_FORWARDING: Final = frozenset(
    {
        *(b"forwarded", b"via", b"x-real-ip"),
        *(b"x-forwarded-host", b"x-forwarded-prefix", b"x-forwarded-proto"),
    }
)
UNKNOWN: Final = "unknown"
"""The address of a client of whom a trusted proxy says none."""

_SCHEMES: Final = frozenset({b"http", b"https"})


class BehindProxies:
    """Gives the application the prefix, scheme, host and client that a browser sees.

    ``root_path`` is the prefix under which the service is reached. A proxy may strip it or leave
    it. ``X-Forwarded-Prefix``, ``-Proto``, ``-Host`` and ``-For`` are read if the connection comes
    from an address in ``trusted``, and otherwise ignored: anybody can send them.
    """

    def __init__(
        self, app: ASGIApp, *, root_path: str, trusted: Sequence[IPv4Network | IPv6Network]
    ) -> None:
        self._app = app
        self._root_path = root_path
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with what a browser sees."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = {**scope}
        root = self._root_path
        if self._trusts(_host_of(scope.get("client"))):
            root = self._read(seen) or root
        if root:
            path: str = scope["path"]
            if path == root or not path.startswith(f"{root}/"):
                path = root + (path if path != root else "/")
                seen["path"] = path
                seen["raw_path"] = root.encode() + scope.get("raw_path", path.encode())
            seen["root_path"] = root
        await self._app(seen, receive, send)

    def _read(self, seen: Scope) -> str | None:
        """Take over what a trusted proxy forwards; return the prefix."""
        forwarded: dict[bytes, bytes] = {}
        hops: list[bytes] = []
        for name, value in seen["headers"]:
            if name == b"x-forwarded-for":
                hops += value.split(b",")
            elif name.startswith(b"x-forwarded-"):
                # If there are several proxies, the one next to the browser comes first.
                forwarded.setdefault(name, value.split(b",")[0].strip())
        if (scheme := forwarded.get(b"x-forwarded-proto", b"").lower()) in _SCHEMES:
            seen["scheme"] = scheme.decode()
        host = forwarded.get(b"x-forwarded-host", b"")
        if _HOST.fullmatch(host):
            others = [each for each in seen["headers"] if each[0] != b"host"]
            seen["headers"] = [(b"host", host), *others]
        if (client := self._client(hops)) is not None:
            seen["client"] = (client, 0)
        prefix = forwarded.get(b"x-forwarded-prefix", b"")
        return prefix.decode().rstrip("/") if _PREFIX.fullmatch(prefix) else None

    def _client(self, hops: Sequence[bytes]) -> str | None:
        """Return the last address that is none of our proxies: those before it can be invented."""
        for hop in reversed(hops):
            address = _bare(hop.strip().decode("latin-1"))
            if not self._trusts(address):
                return address if _address(address) else UNKNOWN
        return None

    def _trusts(self, host: str | None) -> bool:
        address = _address(host or "")
        return address is not None and any(address in network for network in self._trusted)


def passed_on(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a proxy, trusted or not, has passed a request on for another machine.

    Whoever sends such a header directly says so of itself.
    """
    hops: list[bytes] = []
    others = False
    for name, value in headers:
        if name == b"x-forwarded-for":
            hops += value.split(b",")
        elif name in _FORWARDING:
            others = True
    if not hops:
        return others
    return not all(is_loopback(_bare(hop.strip().decode("latin-1"))) for hop in hops)


def _bare(hop: str) -> str:
    """Return the address of a hop, to which some proxies add a port."""
    found = _WITH_PORT.fullmatch(hop)
    return hop if found is None else found[1] or found[2]


def _host_of(client: object) -> str | None:
    return client[0] if isinstance(client, tuple | list) else None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket that listens on IPv6 shows IPv4 clients so.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
