"""How many requests one caller may send in a while; more are answered 429.

``limits`` counts. Each process counts by itself: see docs/decisions/0072-rates-and-deadlines.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stroke.entrypoints.api.problems import problem_response

if TYPE_CHECKING:
    from limits import RateLimitItem

Callers = Callable[[Scope], Mapping[str, str]]
"""Tells whose requests one counts among: a name for each kind, such as ``{"address": ...}``."""

RATE_HEADERS: Final = (
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "RateLimit-Policy",
)
"""What an answer says of the rate that is nearest to its end."""

# What orchestrators and Prometheus ask, which must learn of a service under load, too.
_FREE: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
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


class RateLimit:
    """ASGI middleware that lets each caller send so many requests.

    ``rates`` has the rate of each kind of caller as ``limits`` writes it (``600/minute``, several
    with ``;``); ``callers`` tells the name of each kind. A kind without a rate is not limited.
    """

    def __init__(self, app: ASGIApp, *, rates: Mapping[str, str], callers: Callers) -> None:
        # Slow to import, and seldom wanted.
        from limits import parse_many  # noqa: PLC0415
        from limits.aio.storage import MemoryStorage  # noqa: PLC0415
        from limits.aio.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415

        self._app = app
        self._rates = {kind: parse_many(rate) for kind, rate in rates.items() if rate}
        self._callers = callers
        self._counts = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _FREE:
            await self._app(scope, receive, send)
            return
        refused, headers = await self._count(scope)
        if refused:
            answer = problem_response(
                HTTPStatus.TOO_MANY_REQUESTS,
                name="rate-limited",
                detail="You have sent too many requests. Nothing was stored. Try again later.",
                headers={**headers, "Retry-After": headers.get("RateLimit-Reset", "1")},
            )
            await answer(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, told)

    async def _count(self, scope: Scope) -> tuple[bool, dict[str, str]]:
        """Count the request; return whether it is one too many, and what its caller may know."""
        tightest: tuple[bool, int, int, RateLimitItem] | None = None
        for kind, name in self._callers(scope).items():
            for item in self._rates.get(kind, ()):
                allowed = await self._counts.hit(item, kind, name)
                reset, left = await self._counts.get_window_stats(item, kind, name)
                wait = max(1, math.ceil(reset - time.time()))
                found = (allowed, left, -wait, item)
                if tightest is None or found[:3] < tightest[:3]:
                    tightest = found
        if tightest is None:
            return False, {}
        allowed, left, wait, item = tightest
        values = (item.amount, left if allowed else 0, -wait)
        policy = f"{item.amount};w={item.get_expiry()}"
        return not allowed, dict(zip(RATE_HEADERS, [*map(str, values), policy], strict=True))
