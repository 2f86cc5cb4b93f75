"""How many requests one caller may send in a while; more are answered 429.

``limits`` counts. Each process counts by itself: see docs/decisions/0072-rates-and-deadlines.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stroke.domain.access import Principal
from stroke.entrypoints.api.probes import PROBES
from stroke.entrypoints.api.problems import problem_response

if TYPE_CHECKING:
    from limits import RateLimitItem

Names = Callable[[Scope], Mapping[str, str]]
"""Says whose requests one counts among: a name for each kind, such as ``{"address": ...}``."""

RATE_HEADERS: Final = (
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "RateLimit-Policy",
)
"""What an answer says of the rate that is nearest to its end."""

_PREFIX_BITS: Final = 64


def by_address(scope: Scope) -> Mapping[str, str]:
    """Return the client's address; of IPv6 its /64 network, in which a client has any address."""
    client = scope.get("client")
    if not client:
        return {"address": "none"}
    try:
        address = ip_address(client[0])
    except ValueError:
        return {"address": "none"}
    if not isinstance(address, IPv6Address):
        return {"address": str(address)}
    if address.ipv4_mapped is not None:
        return {"address": str(address.ipv4_mapped)}
    return {"address": f"{int(address) >> (128 - _PREFIX_BITS):x}::"}


def by_principal(caller: Principal) -> Mapping[str, str]:
    """Return the key (or the subject of the token) of ``caller``, and its site.

    Where nobody is asked for a key, there are none: the address alone counts.
    """
    if caller.kind == "open":
        return {}
    names = {"key": f"{caller.kind}:{caller.id}"}
    return names if caller.site is None else {**names, "site": caller.site}


class Rates:
    """Counts requests by the names of their callers.

    ``rates`` has the rate of each kind of caller as ``limits`` writes it (``600/minute``, several
    with ``;``). A kind without a rate is not limited.
    """

    def __init__(self, rates: Mapping[str, str | None]) -> None:
        # Slow to import, and seldom wanted.
        from limits import parse_many  # noqa: PLC0415
        from limits.aio.storage import MemoryStorage  # noqa: PLC0415
        from limits.aio.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415

        self._rates = {kind: parse_many(rate) for kind, rate in rates.items() if rate}
        self._counts = SlidingWindowCounterRateLimiter(MemoryStorage())

    @classmethod
    def of(cls, **rates: str | None) -> Rates | None:
        """Return what counts, or None where no kind of caller has a rate."""
        return cls(rates) if any(rates.values()) else None

    async def count(self, names: Mapping[str, str]) -> Counted:
        """Count a request of the caller that has these ``names``, one for each kind."""
        tightest: tuple[bool, int, int, RateLimitItem] | None = None
        for kind, name in names.items():
            for item in self._rates.get(kind, ()):
                allowed = await self._counts.hit(item, kind, name)
                reset, left = await self._counts.get_window_stats(item, kind, name)
                wait = max(1, math.ceil(reset - time.time()))
                found = (allowed, left, -wait, item)
                if tightest is None or found[:3] < tightest[:3]:
                    tightest = found
        if tightest is None:
            return Counted(True, {})
        allowed, left, wait, item = tightest
        values = (item.amount, left if allowed else 0, -wait)
        policy = f"{item.amount};w={item.get_expiry()}"
        headers = dict(zip(RATE_HEADERS, [*map(str, values), policy], strict=True))
        return Counted(allowed, headers)


class Counted(NamedTuple):
    """Whether a request may go on, and what its answer says of the rate next to its end."""

    allowed: bool
    headers: dict[str, str]

    def refusal(self) -> Response:
        """Return the answer to a request that is one too many."""
        return problem_response(
            HTTPStatus.TOO_MANY_REQUESTS,
            name="rate-limited",
            detail="You have sent too many requests. Nothing was stored. Try again later.",
            headers={**self.headers, "Retry-After": self.headers.get("RateLimit-Reset", "1")},
        )

    def add_to(self, headers: MutableHeaders) -> None:
        """Add what an answer says of its rate, unless it speaks of another one already."""
        if RATE_HEADERS[0] not in headers:
            headers.update(self.headers)


class RateLimit:
    """ASGI middleware that lets each caller send so many requests: ``names`` says who calls."""

    def __init__(self, app: ASGIApp, *, rates: Rates, names: Names) -> None:
        self._app = app
        self._rates = rates
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        counted = await self._rates.count(self._names(scope))
        if not counted.allowed:
            await counted.refusal()(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                counted.add_to(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, with_headers)
