"""Whether a sink makes progress, by its offsets: a task can be RUNNING and do nothing."""

from __future__ import annotations

from collections.abc import Mapping

from stroke.application.pipeline.kafka_connect_model import TopicPartition

Offsets = Mapping[TopicPartition, int]
"""``committed`` is the next offset to read, ``last`` and ``highest`` those of a record."""


def lag(committed: Offsets, last: Offsets) -> int:
    """Return how many offsets are left to read; transaction markers between them count."""
    return sum(max(0, offset + 1 - committed.get(at, 0)) for at, offset in last.items())


class SinkProgress:
    """What one sink committed, and since when it has not moved although there is more to read."""

    def __init__(self) -> None:
        self._committed: Offsets | None = None
        self._since = 0.0
        self.stalled = False

    def seconds_still(self, now: float, committed: Offsets, last: Offsets) -> float:
        """Return for how long the sink has not moved with records to go; 0 when it is well."""
        if committed != self._committed or not lag(committed, last):
            self.is_well(now)
        self._committed = dict(committed)
        return now - self._since

    def is_well(self, now: float) -> None:
        """Count from ``now`` on: it moved, or has nothing to do."""
        self._since = now
        self.stalled = False

    def was_restarted(self, now: float) -> None:
        """Start the sink's patience again; it stays stalled until it moves."""
        self._since = now
        self.stalled = True


class LakeGap:
    """Records that the Iceberg sink committed as read and that do not reach the table.

    The sink commits offsets shortly before the table has the rows. So what was committed at one
    moment has to be in the table ``patience`` seconds later; what was committed since does not.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._mark: tuple[float, Offsets] | None = None

    def records(self, now: float, committed: Offsets, highest: Offsets) -> int:
        """Return how many records seem lost ``now``: 0 until the patience has ended."""
        if self._mark is None or not _absent(self._mark[1], highest):
            self._mark = (now, dict(committed))
        return _absent(committed, highest) if now - self._mark[0] >= self._patience else 0


def _absent(committed: Offsets, highest: Offsets) -> int:
    return sum(max(0, upto - 1 - highest.get(at, -1)) for at, upto in committed.items())
