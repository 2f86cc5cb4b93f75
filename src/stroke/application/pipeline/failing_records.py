"""Finds the record on which a sink fails, by how the sink itself behaves.

Neither Connect nor Debezium's JDBC sink names the record: the task fails with the batch, up to
``max.poll.records`` of them. Given one record at a time, however, the sink commits what it took
before it fails, so that the first record that it has not committed is the one.

Iceberg's sink commits at intervals, with whole files, but its exception names the record. Records
before it are not committed yet. So the sink does not go on behind the record: it reads all of them
again, and routes this one to no table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

from stroke.application.pipeline.failure_causes import Concerns, FailureCause
from stroke.application.pipeline.kafka_connect_model import (
    ConnectorConfig,
    ConnectorState,
    ConnectorStatus,
    TopicPartition,
)
from stroke.application.pipeline.ports import ConnectorControl, ConnectorRegistry
from stroke.application.pipeline.waiting import EVERY, until
from stroke.domain.errors import ConnectorFailed

_BATCH: Final = "consumer.override.max.poll.records"
_DEFAULT_BATCH: Final = 500  # Kafka's
_TABLE: Final = "iceberg.tables"
_COMMITS_AT_ONCE: Final = {"iceberg.control.commit.interval-ms": "1000"}
_STOPS_WITHIN: Final = 60.0
# Longer than a sink takes to start, to read a record and to commit it.
_STANDS_FOR: Final = 30.0


@dataclass(frozen=True, slots=True)
class Failure:
    """How a sink failed: the next offset that it has to read, the classes, and the cause.

    ``named`` is the offset of the record on which it failed, where the sink names it.
    """

    place: TopicPartition
    committed: int
    reason: str
    cause: FailureCause | None
    named: int | None = None

    @property
    def concerns(self) -> Concerns:
        """What is at fault, as far as the exception says."""
        return self.cause.concerns if self.cause else Concerns.UNKNOWN


class SinkRuns:
    """Stops a sink, and lets it run on until it fails. ``clock`` is monotonic seconds.

    ``beginning`` is where a sink starts that never committed.
    """

    def __init__(
        self,
        control: ConnectorControl,
        registry: ConnectorRegistry,
        *,
        beginning: TopicPartition,
        sleep: Callable[[float], Awaitable[object]],
        clock: Callable[[], float],
    ) -> None:
        self._control = control
        self._registry = registry
        self._beginning = beginning
        self._sleep = sleep
        self._clock = clock

    async def failure(self, name: str, patience: float) -> Failure | None:
        """Return how the sink fails; None if it does not within ``patience`` seconds.

        The watcher may have restarted one that fails a moment ago. One that commits something
        meanwhile does not fail.
        """
        status = await self._control.status(name)
        if status.is_running:
            before = await self._control.offsets(name)

            async def fails_or_moves() -> bool:
                failed = (await self._control.status(name)).has_failed
                return failed or await self._control.offsets(name) != before

            await until(fails_or_moves, within=patience, clock=self._clock, sleep=self._sleep)
            status = await self._control.status(name)
        return await self._failure(status) if status.has_failed else None

    async def config(self, name: str) -> ConnectorConfig:
        """Return the sink's config."""
        return await self._registry.config(name) or {}

    async def stop(self, name: str) -> None:
        """Return once no task can commit any more. Raises ``ConnectorFailed`` after 60 s."""
        await self._control.stop(name)

        async def is_stopped() -> bool:
            status = await self._control.status(name)
            return status.state is ConnectorState.STOPPED and not status.tasks

        if not await until(is_stopped, within=_STOPS_WITHIN, clock=self._clock, sleep=self._sleep):
            raise ConnectorFailed(f"{name} does not stop within {_STOPS_WITHIN:.0f} s")

    async def place(self, name: str) -> tuple[TopicPartition, int]:
        """Return the next offset that a sink reads: the first of all if it never committed."""
        offsets = await self._control.offsets(name) or {self._beginning: 0}
        if len(offsets) > 1:
            raise ConnectorFailed(f"{name} reads several partitions: its place is not one offset")
        ((place, committed),) = offsets.items()
        return place, committed

    async def one_at_a_time(self, name: str, config: ConnectorConfig) -> Failure | None:
        """Give the sink its next batch record by record; return how it fails, or None."""
        await self.stop(name)
        _, committed = await self.place(name)
        # Tombstones and markers of transactions have offsets, too.
        batch = 2 * int(config.get(_BATCH, _DEFAULT_BATCH))
        return await self._run(name, {**config, _BATCH: "1"}, committed + batch)

    async def leaving_out(
        self, name: str, config: ConnectorConfig, offsets: Collection[int]
    ) -> Failure | None:
        """Let the lake's sink run without these records; return how it fails, or None.

        Raises ``ConnectorFailed`` when it neither fails nor commits what is behind the last one.
        """
        await self.stop(name)
        others = "|".join(map(str, sorted(offsets)))
        routed = {
            "iceberg.tables.route-field": "_kafka_metadata.offset",
            f"iceberg.table.{config[_TABLE]}.route-regex": f"(?!({others})$).*",
        }
        end = max(offsets) + 1
        failure = await self._run(name, {**config, **_COMMITS_AT_ONCE, **routed}, end)
        if failure is None and (await self.place(name))[1] < end:
            raise ConnectorFailed(
                f"{name} runs, but does not commit what is behind offset {end - 1}"
            )
        return failure

    async def as_ever(self, name: str, config: ConnectorConfig, end: int) -> Failure | None:
        """Let the sink run with its own config up to ``end``; return how it fails, or None."""
        await self.stop(name)
        return await self._run(name, config, end)

    async def restore(self, name: str, config: ConnectorConfig) -> None:
        """Give the sink its own config again, and let it run."""
        if await self._registry.config(name) != config:
            await self._registry.put(name, config)
        await self._control.resume(name)

    async def _run(self, name: str, config: ConnectorConfig, end: int) -> Failure | None:
        """None means: it has passed ``end``, or neither fails nor moves for 30 s."""
        await self.restore(name, config)
        _, before = await self.place(name)
        since = self._clock()
        while self._clock() - since < _STANDS_FOR:
            status = await self._control.status(name)
            if status.has_failed:
                return await self._failure(status)
            _, committed = await self.place(name)
            if committed >= end:
                return None
            if committed != before:
                before, since = committed, self._clock()
            await self._sleep(EVERY)
        return None

    async def _failure(self, status: ConnectorStatus) -> Failure:
        place, committed = await self.place(status.name)
        named = [task.record[1] for task in status.tasks if task.record and task.record[0] == place]
        reasons = [status.reason, *(task.reason for task in status.tasks)]
        return Failure(
            place,
            committed,
            next(filter(None, reasons), ""),
            next(iter(status.causes), None),
            next(iter(named), None),
        )
