"""Dead letters: records that a connector could not take are listed, parked and sent again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from stroke.application.pipeline.consistency import DeadLetter
from stroke.application.pipeline.kafka_connect_model import (
    ConnectorState,
    ConnectorStatus,
    TopicPartition,
)
from stroke.application.pipeline.ports import ConnectorControl, DeadLetterQueue, SourceOfTruth
from stroke.application.pipeline.waiting import until
from stroke.domain.errors import ConnectorFailed, ConnectorNotFound, InvalidData, PipelineError

# Why a letter was written, where no exception of a sink says so.
PARKED: Final = "parked by hand"

_STOPS_WITHIN: Final = 60.0


def dead_letter_topic(connector: str) -> str:
    """Return the topic of a connector's letters, which connectors/*.json names."""
    return f"dlq.{connector}"


@dataclass(slots=True)
class Replay:
    """The result of a replay: ids sent again, ids deleted again, letters skipped or unreadable."""

    sent: list[int] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    unreadable: list[DeadLetter] = field(default_factory=list)
    skipped: list[DeadLetter] = field(default_factory=list)


class DeadLetterService:
    """Lists, parks and replays letters of the connectors that write to or read from ``topic``.

    ``connectors`` are their names by their files'; either is good for naming one. ``clock`` is
    monotonic seconds.
    """

    def __init__(
        self,
        queue: DeadLetterQueue,
        source: SourceOfTruth,
        control: ConnectorControl,
        *,
        connectors: Mapping[str, str],
        topic: str,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._source = source
        self._control = control
        self._connectors = dict(connectors)
        self._beginning = TopicPartition(topic, 0)
        self._sleep = sleep
        self._clock = clock

    async def letters(
        self, connector: str | None = None, *, settled: bool = False
    ) -> list[DeadLetter]:
        """Return the letters of one connector or of all, oldest first; ``settled`` if wanted.

        Raises ``ConnectorNotFound`` for a name that is none of theirs, ``BrokerUnavailable``.
        """
        found = [
            # The queue's connector, whatever the record's headers say, if it has any.
            replace(letter, connector=name)
            for name in self._chosen(connector)
            for letter in await self._queue.letters(dead_letter_topic(name))
        ]
        return [letter for letter in found if settled or not letter.settled]

    async def replay(self, letters: Sequence[DeadLetter], *, skip_unreadable: bool) -> Replay:
        """Send the rows of ``letters`` once more, as MySQL holds them now.

        Nothing but Debezium writes to the change topic: a row that exists is sent again by an
        incremental snapshot, one that is gone by a deletion in the binlog. An old value that was
        overtaken since is thus never brought back. A letter whose key cannot be read has no row;
        it is left, or settled without more where ``skip_unreadable`` says so.

        Letters are settled once MySQL has committed what is to be sent.
        """
        replay = Replay()
        readable = [letter for letter in letters if letter.prediction_id is not None]
        unreadable = [letter for letter in letters if letter.prediction_id is None]
        ids = sorted({x.prediction_id for x in readable if x.prediction_id is not None})
        if ids:
            await self._source.send_again(ids)
            replay.deleted = await self._source.send_deletes(ids)
            replay.sent = sorted(set(ids) - set(replay.deleted))
        await self._settle(readable)
        if skip_unreadable:
            await self._settle(unreadable)
            replay.skipped = unreadable
        else:
            replay.unreadable = unreadable
        return replay

    async def park(self, sink: str, *, through: int | None = None) -> list[DeadLetter]:
        """Copy records that block a sink to the dead-letter topic, and let the sink go on.

        For a record that fails in the sink itself, which Connect's own dead-letter queue does not
        cover. Parked is all that the sink has not committed, up to the offset ``through``; None
        means the first such record, where the failing batch begins. ``replay`` sends what was
        good among them. The copies are written before the sink's offset moves, so that an
        interruption loses nothing. Afterwards the sink runs, whether records were parked or not.

        Raises ``ConnectorFailed`` when the sink does not stop, ``InvalidData`` when it has passed
        ``through``, there is no record in its way, or it is no sink.
        """
        (name,) = self._chosen(sink)
        status = await self._control.status(name)
        if status.kind != "sink":
            raise InvalidData(f"{name} is no sink: it has nothing before it to park")
        try:
            await self._stop(name)
            place, committed = await self._place(name)
            if through is not None and through < committed:
                raise InvalidData(f"{name} is at offset {committed} already")
            letters = await self._queue.park(
                place,
                first=committed,
                last=through,
                topic=dead_letter_topic(name),
                connector=name,
                reason=_reason(status),
            )
            if not letters:
                raise InvalidData(f"{name} has no record before it, from offset {committed} on")
            # Never past what is copied: with an offset beyond the topic's end it would start over.
            await self._go_on_at(name, place, letters[-1].offset + 1)
        finally:
            await self._control.resume(name)
        return letters

    async def _stop(self, name: str) -> None:
        """Return once no task can commit any more."""
        await self._control.stop(name)

        async def is_stopped() -> bool:
            return _is_stopped(await self._control.status(name))

        if not await self._until(is_stopped):
            raise ConnectorFailed(f"{name} does not stop within {_STOPS_WITHIN:.0f} s")

    async def _place(self, name: str) -> tuple[TopicPartition, int]:
        """Return the next offset that a sink reads: the first of all if it never committed."""
        offsets = await self._control.offsets(name) or {self._beginning: 0}
        if len(offsets) > 1:
            raise ConnectorFailed(f"{name} reads several partitions: its place is not one offset")
        ((place, committed),) = offsets.items()
        return place, committed

    async def _go_on_at(self, name: str, place: TopicPartition, offset: int) -> None:
        """Connect refuses until the last consumer has left the sink's group."""

        async def is_set() -> bool:
            await self._control.set_offsets(name, {place: offset})
            return True

        await self._until(is_set, passing=(PipelineError,))

    async def _until(
        self,
        condition: Callable[[], Awaitable[bool]],
        passing: tuple[type[Exception], ...] = (),
    ) -> bool:
        return await until(
            condition, within=_STOPS_WITHIN, clock=self._clock, sleep=self._sleep, passing=passing
        )

    async def _settle(self, letters: Sequence[DeadLetter]) -> None:
        for name in sorted({letter.connector for letter in letters}):
            mine = [letter for letter in letters if letter.connector == name]
            await self._queue.settle(dead_letter_topic(name), mine)

    def _chosen(self, connector: str | None) -> tuple[str, ...]:
        """Return the name of one connector or of all."""
        names = tuple(self._connectors.values())
        if connector is None:
            return names
        name = self._connectors.get(connector, connector)
        if name not in names:
            raise ConnectorNotFound(connector, (*self._connectors, *names))
        return (name,)


def _is_stopped(status: ConnectorStatus) -> bool:
    return status.state is ConnectorState.STOPPED and not status.tasks


def _reason(status: ConnectorStatus) -> str:
    return next((task.reason for task in status.tasks if task.reason), PARKED)
