"""observe_connections: how many connections of an engine are in use and how many wait."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Engine, event

# What each event of the pool changes: open connections, and those in use.
_CHANGES: Final = {"connect": (1, 0), "checkout": (0, 1), "checkin": (0, -1), "close": (-1, 0)}


def observe_connections(engine: Engine, registry: CollectorRegistry) -> None:
    """Report the connections of the pool of ``engine`` as ``stroke_database_connections``.

    Counted at the pool's events, because a gauge of several workers cannot be read when it is
    scraped; it is their sum. A connection that a check-out is just opening is "idle".
    """
    gauge = Gauge(
        "stroke_database_connections",
        "Connections to the database, summed over all workers.",
        ("state",),
        registry=registry,
        multiprocess_mode="livesum",
    )
    idle, in_use = gauge.labels("idle"), gauge.labels("in_use")
    idle.set(0)
    in_use.set(0)

    def listen(name: str, opened: int, taken: int) -> None:
        # SQLAlchemy calls listeners with what the event has, which is not the same for all.
        def count(*_: object) -> None:
            idle.inc(opened - taken)
            if taken:
                in_use.inc(taken)

        event.listen(engine, name, count)

    for name, (opened, taken) in _CHANGES.items():
        listen(name, opened, taken)
