"""Why a part of the stack failed, as its own container says at the port of its metrics.

A broker on a full disk and a worker without memory answer nobody, or only now and then. Their
containers expose the time of such a failure (deploy/images/kafka/bin/run).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from stroke.application.doctor.ports import Metrics
from stroke.domain.errors import EndpointUnavailable, StrokeError

FAILED_AT: Final = "stroke_part_failed_timestamp_seconds"
"""A gauge: when the part last failed, in seconds since 1970; its label ``cause`` says of what."""

CAUSES: Final[Mapping[str, str]] = {
    "disk-full": "its disk is full: free space there (docs/operations.md#the-disk-is-full)",
    "out-of-memory": "it ran out of memory: give it a larger heap in deploy/.env "
    "(STROKE_CONNECT_HEAP for Kafka Connect, STROKE_KAFKA_HEAP for the broker)",
}
RECENT_SECONDS: Final = 600.0
"""A part that answers failed not long ago if it was within this time."""

_TOLD_WITHIN: Final = 5.0


def explained(
    look: Callable[[], Awaitable[str]], metrics: Metrics | None, now: Callable[[], float]
) -> Callable[[], Awaitable[str]]:
    """Return ``look`` with what ``metrics`` say of the part's own failures.

    Its error then names the causes. It fails, too, if the part answers and failed recently: it may
    end again at any time. ``now`` gives seconds since 1970. Raises ``EndpointUnavailable``.
    """
    if metrics is None:
        return look

    async def work() -> str:
        # Before the look, which may use up the time that there is.
        failures = await _failures(metrics)
        try:
            said = await look()
        except StrokeError as error:
            if not failures:
                raise
            raise EndpointUnavailable("; ".join([*_said(failures), str(error)])) from error
        recent = {name: at for name, at in failures.items() if now() - at <= RECENT_SECONDS}
        if recent:
            raise EndpointUnavailable("; ".join([*_said(recent), f"it answers now: {said}"]))
        return said

    return work


async def _failures(metrics: Metrics) -> dict[str, float]:
    try:
        async with asyncio.timeout(_TOLD_WITHIN):
            found = await metrics.values(FAILED_AT, "cause")
    except (EndpointUnavailable, TimeoutError):  # what does not answer says nothing
        return {}
    return {name: at for name, at in found.items() if name in CAUSES}


def _said(failures: Mapping[str, float]) -> list[str]:
    return [CAUSES[name] for name in sorted(failures)]
