"""Dead letters: records that a connector could not take are listed, parked and sent again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from stroke.application.pipeline.connector_rules import is_lake
from stroke.application.pipeline.consistency import DeadLetter, NextRecord
from stroke.application.pipeline.failing_records import Failure, SinkRuns
from stroke.application.pipeline.failure_causes import UNKNOWN, Concerns
from stroke.application.pipeline.kafka_connect_model import ConnectorConfig, TopicPartition
from stroke.application.pipeline.ports import (
    ChangeTopic,
    ConnectorControl,
    ConnectorRegistry,
    DeadLetterQueue,
    SourceOfTruth,
)
from stroke.application.pipeline.waiting import until
from stroke.domain.errors import ConnectorFailed, ConnectorNotFound, InvalidData, PipelineError

# Why a letter was written, where no exception of a sink says so.
PARKED: Final = "parked by hand"
IN_THE_SINK: Final = "TASK_PUT"
"""The stage of letters that ``park`` writes: Connect's own ones come from earlier stages."""

AT_MOST: Final = 100
"""How many records one call parks, unless it says so."""

_STOPS_WITHIN: Final = 60.0
# So many records in a row that fail for a cause that nobody knows are not the cause.
_UNKNOWN_IN_A_ROW: Final = 3


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
        registry: ConnectorRegistry,
        change_topic: ChangeTopic,
        connectors: Mapping[str, str],
        topic: str,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._source = source
        self._control = control
        self._connectors = dict(connectors)
        self._change_topic = change_topic
        self._runs = SinkRuns(
            control, registry, beginning=TopicPartition(topic, 0), sleep=sleep, clock=clock
        )
        self._sleep = sleep
        self._clock = clock

    def name_of(self, connector: str) -> str:
        """Return the name of a connector that is named by it, or by its file.

        Raises ``ConnectorNotFound``.
        """
        (name,) = self._chosen(connector)
        return name

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

    async def park(
        self,
        sink: str,
        *,
        through: int | None = None,
        at_most: int = AT_MOST,
        patience: float = 0.0,
    ) -> list[DeadLetter]:
        """Copy records that block a sink to the dead-letter topic, and let the sink go on.

        For a record that fails in the sink itself, which Connect's own dead-letter queue does not
        cover. Without ``through``, the sink is given one record at a time until it fails: that
        record is parked, and no other. The lake's sink names the record itself, and is let run
        without it. This goes on until the sink fails no more, or ``at_most``
        records are parked. Up to ``through``, all is parked that the sink has not committed. If the
        sink does not fail within ``patience`` seconds, the next record is parked.
        ``replay`` sends what was good.

        The copies are written before the sink's offset moves, so that an interruption loses
        nothing. Afterwards the sink runs, whether records were parked or not.

        Raises ``ConnectorFailed`` when the sink does not stop, or when no record is at fault: the
        cause concerns what the sink writes to, or it is unknown and the sink fails on one record
        after the other. Raises ``InvalidData`` when the sink has passed ``through``, there is no
        record in its way, nothing says which record fails, or it is no sink.
        """
        name = await self._sink(sink)
        if through is None and (failure := await self._runs.failure(name, patience)):
            return await self._park_what_fails(name, failure, at_most)
        try:
            await self._runs.stop(name)
            place, committed = await self._runs.place(name)
            if through is not None and through < committed:
                raise InvalidData(f"{name} is at offset {committed} already")
            failure = Failure(place, committed, PARKED, None)
            letters = await self._copy(name, failure, through)
        finally:
            await self._control.resume(name)
        return letters

    async def find(self, sink: str, *, patience: float = 0.0) -> tuple[NextRecord, str]:
        """Return the record on which a sink fails, and why in words. Nothing is parked.

        Raises the same as ``park``.
        """
        name = await self._sink(sink)
        failure = await self._runs.failure(name, patience)
        if failure is None:
            raise InvalidData(f"{name} does not fail")
        config = await self._searchable(name, failure)
        if is_lake(config):
            record = await self._named(name, failure)
            return record, failure.cause.words if failure.cause else failure.reason
        try:
            failure = await self._runs.one_at_a_time(name, config)
        finally:
            await self._runs.restore(name, config)
        if failure is None:
            raise _none_fails(name)
        _refuse_if_no_record_is_at_fault(name, failure)
        record = await self._culprit(name, failure)
        return record, failure.cause.words if failure.cause else failure.reason

    async def _sink(self, sink: str) -> str:
        name = self.name_of(sink)
        if (await self._control.status(name)).kind != "sink":
            raise InvalidData(f"{name} is no sink: it has nothing before it to park")
        return name

    async def _searchable(self, name: str, failure: Failure) -> ConnectorConfig:
        """Return the config of a sink whose failing record can be found."""
        _refuse_if_no_record_is_at_fault(name, failure)
        config = await self._runs.config(name)
        if is_lake(config):
            _refuse_if_nothing_is_named(name, failure)
        return config

    async def _named(self, name: str, failure: Failure) -> NextRecord:
        """Return the record that the sink names."""
        offset = _refuse_if_nothing_is_named(name, failure)
        record = await self._queue.next_record(failure.place, offset)
        if record is None or record.offset != offset:
            raise _no_record(name, offset)
        return record

    async def _park_what_is_named(
        self, name: str, config: ConnectorConfig, failure: Failure, at_most: int
    ) -> list[DeadLetter]:
        """Park what the lake's sink names, one after the other, until it has passed them all.

        Its offset is not moved: what it read before the record is not committed yet.
        """
        letters: list[DeadLetter] = []
        in_a_row: list[DeadLetter] = []
        found: Failure | None = failure
        try:
            while found is not None and len(letters) < at_most:
                _refuse_if_no_record_is_at_fault(name, found, len(letters))
                await self._runs.stop(name)
                record = await self._named(name, found)
                if in_a_row and found.committed > in_a_row[-1].offset:
                    in_a_row = []  # it took some since
                at = replace(found, committed=record.offset)
                letters += (copied := await self._letters_of(name, at, record.offset))
                in_a_row += copied if found.concerns is Concerns.UNKNOWN else []
                if len(in_a_row) >= _UNKNOWN_IN_A_ROW:
                    await self._queue.settle(dead_letter_topic(name), in_a_row)
                    raise _hardly_at_fault(name, found, in_a_row)
                found = await self._runs.leaving_out(name, config, {x.offset for x in letters})
            if found is not None:
                ahead = [letter for letter in letters if letter.offset >= found.committed]
                await self._queue.settle(dead_letter_topic(name), ahead)
                raise ConnectorFailed(
                    f"{name} fails on more than {at_most} records, and has not passed "
                    f"{len(ahead)} of them: those are not parked. Raise --at-most"
                )
        finally:
            await self._runs.restore(name, config)
        return letters

    async def _park_what_fails(self, name: str, failure: Failure, at_most: int) -> list[DeadLetter]:
        config = await self._searchable(name, failure)
        if is_lake(config):
            return await self._park_what_is_named(name, config, failure, at_most)
        last = await self._change_topic.last_offsets(failure.place.topic)
        end = last.get(failure.place, failure.committed) + 1
        letters: list[DeadLetter] = []
        in_a_row: list[DeadLetter] = []
        try:
            while len(letters) < at_most:
                found = await self._runs.one_at_a_time(name, config)
                if found is None:  # the rest of the batch is good
                    if await self._runs.as_ever(name, config, end) is None:
                        break
                    continue
                _refuse_if_no_record_is_at_fault(name, found, len(letters))
                await self._runs.stop(name)
                culprit = await self._culprit(name, found)
                if not in_a_row or found.committed != in_a_row[-1].offset + 1:
                    in_a_row = []  # it took some since
                found = replace(found, committed=culprit.offset)
                letters += (copied := await self._copy(name, found, None))
                in_a_row += copied if found.concerns is Concerns.UNKNOWN else []
                if len(in_a_row) >= _UNKNOWN_IN_A_ROW:
                    await self._take_back(name, found.place, in_a_row)
                    raise _hardly_at_fault(name, found, in_a_row)
        finally:
            await self._runs.restore(name, config)
        if not letters:
            raise _none_fails(name)
        return letters

    async def _culprit(self, name: str, failure: Failure) -> NextRecord:
        """Return the record on which a sink failed that got one at a time.

        It is the first one that is not committed, but for those that Connect has parked by
        itself: the sink never saw them, so it did not commit them either.
        """
        parked = {
            (TopicPartition(letter.topic, letter.partition), letter.offset)
            for letter in await self._queue.letters(dead_letter_topic(name))
            if letter.stage != IN_THE_SINK
        }
        offset = failure.committed
        while record := await self._queue.next_record(failure.place, offset):
            if (record.at, record.offset) not in parked:
                return record
            offset = record.offset + 1
        raise _no_record(name, failure.committed)

    async def _copy(self, name: str, failure: Failure, through: int | None) -> list[DeadLetter]:
        """Write letters of records of a stopped sink, then set it behind them."""
        letters = await self._letters_of(name, failure, through)
        # Never past what is copied: with an offset beyond the topic's end it would start over.
        await self._go_on_at(name, failure.place, letters[-1].offset + 1)
        return letters

    async def _letters_of(
        self, name: str, failure: Failure, through: int | None
    ) -> list[DeadLetter]:
        """Write letters of the records from ``failure.committed`` through ``through``."""
        cause = failure.cause
        letters = await self._queue.park(
            failure.place,
            first=failure.committed,
            last=through,
            topic=dead_letter_topic(name),
            connector=name,
            reason=failure.reason or PARKED,
            cause=cause.words if cause and cause.concerns is not Concerns.UNKNOWN else "",
        )
        if not letters:
            raise _no_record(name, failure.committed)
        return letters

    async def _take_back(
        self, name: str, place: TopicPartition, letters: Sequence[DeadLetter]
    ) -> None:
        """Let the sink read records again that were parked; their letters are dealt with."""
        await self._go_on_at(name, place, letters[0].offset)
        await self._queue.settle(dead_letter_topic(name), letters)

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


def _refuse_if_no_record_is_at_fault(name: str, failure: Failure, parked: int = 0) -> None:
    cause = failure.cause
    if cause is not None and cause.concerns is Concerns.PLACE:
        so_far = f"; {parked} records were parked before" if parked else ""
        raise ConnectorFailed(
            f"{name} fails because {cause.words}: to park records does not help{so_far}. "
            f"Remedy: {cause.advice}"
        )


def _refuse_if_nothing_is_named(name: str, failure: Failure) -> int:
    if failure.named is None:
        raise InvalidData(
            f"{name} commits many records at a time, and does not name the one on which it fails; "
            f"it has not committed those from offset {failure.committed} on. With "
            "--through OFFSET, all up to one of them are parked"
        )
    return failure.named


def _hardly_at_fault(name: str, failure: Failure, letters: Sequence[DeadLetter]) -> ConnectorFailed:
    return ConnectorFailed(
        f"{name} fails on one record after the other ({failure.reason}): the records are hardly at "
        f"fault, and those from offset {letters[0].offset} on are not parked. {UNKNOWN.advice}"
    )


def _none_fails(name: str) -> InvalidData:
    return InvalidData(f"{name} took all records that were in its way, one at a time: it goes on")


def _no_record(name: str, committed: int) -> InvalidData:
    return InvalidData(f"{name} has no record before it, from offset {committed} on")
