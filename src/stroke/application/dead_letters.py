"""What becomes of records that a sink could not take: listed, parked, sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stroke.application.ports import ConnectorControl, DeadLetterQueue, SourceOfTruth
from stroke.domain.consistency import DeadLetter
from stroke.domain.errors import ConnectorFailed, ConnectorNotFound, InvalidData

# Why a letter was written, where no exception of a sink says so.
PARKED = "parked by hand"


def dead_letter_topic(connector: str) -> str:
    """Return where the letters of a sink go, as connectors/*.json says."""
    return f"dlq.{connector}"


@dataclass(slots=True)
class Replay:
    """What became of letters: ids sent again, ids whose deletion was, letters left or skipped."""

    sent: list[int] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    unreadable: list[DeadLetter] = field(default_factory=list)
    skipped: list[DeadLetter] = field(default_factory=list)


class DeadLetterService:
    """Deals with the letters of the sinks called ``connectors``."""

    def __init__(
        self,
        queue: DeadLetterQueue,
        source: SourceOfTruth,
        control: ConnectorControl,
        *,
        connectors: Sequence[str],
    ) -> None:
        self._queue = queue
        self._source = source
        self._control = control
        self._connectors = tuple(connectors)

    async def letters(
        self, connector: str | None = None, *, settled: bool = False
    ) -> list[DeadLetter]:
        """Return the letters of one sink or of all, oldest first; ``settled`` ones if wanted.

        Raises ``ConnectorNotFound`` for a name that is none of the sinks', ``BrokerUnavailable``.
        """
        found = [
            letter
            for name in self._chosen(connector)
            for letter in await self._queue.letters(dead_letter_topic(name))
        ]
        return [letter for letter in found if settled or not letter.settled]

    async def replay(self, letters: Sequence[DeadLetter], *, skip_unreadable: bool) -> Replay:
        """Let the rows that ``letters`` are about flow once more, as MySQL holds them now.

        Nothing but Debezium writes to the change topic: a row that exists is sent again by an
        incremental snapshot, one that is gone by a deletion in the binlog. An old value that was
        overtaken since is thus never brought back. A letter whose key cannot be read has no row;
        it is left, or settled without more where ``skip_unreadable`` says so.

        Letters are settled once MySQL has committed what is to be sent.
        """
        told = Replay()
        readable = [letter for letter in letters if letter.prediction_id is not None]
        unreadable = [letter for letter in letters if letter.prediction_id is None]
        ids = sorted({letter.prediction_id for letter in readable if letter.prediction_id})
        if ids:
            await self._source.send_again(ids)
            told.deleted = await self._source.send_deletes(ids)
            told.sent = sorted(set(ids) - set(told.deleted))
        await self._settle(readable)
        if skip_unreadable:
            await self._settle(unreadable)
            told.skipped = unreadable
        else:
            told.unreadable = unreadable
        return told

    async def park(self, connector: str, *, through: int | None = None) -> list[DeadLetter]:
        """Take records out of a sink's way: copy them to the dead-letter topic, go on after them.

        For a record that fails in the sink itself, which Connect's own dead-letter queue does not
        cover. Parked is all that the sink has not committed, up to the offset ``through``; None
        means the first such record, where the failing batch begins. ``replay`` sends what was
        good among them. The copies are written before the sink's offset moves, so that an
        interruption loses nothing.

        Raises ``ConnectorFailed`` when the sink's place is not known, ``InvalidData`` when it has
        passed ``through`` or there is no record.
        """
        (name,) = self._chosen(connector)
        status = await self._control.status(name)
        await self._control.stop(name)
        try:
            offsets = await self._control.offsets(name)
            if len(offsets) != 1:
                raise ConnectorFailed(f"{name} has not committed an offset yet: it has no place")
            ((place, committed),) = offsets.items()
            end = committed + 1 if through is None else through + 1
            if end <= committed:
                raise InvalidData(f"{name} is at offset {committed} already")
            letters = await self._queue.park(
                place,
                range(committed, end),
                topic=dead_letter_topic(name),
                connector=name,
                reason=next((task.reason for task in status.tasks if task.reason), PARKED),
            )
            await self._control.set_offsets(name, {place: end})
        finally:
            await self._control.resume(name)
        return letters

    async def _settle(self, letters: Sequence[DeadLetter]) -> None:
        for name in sorted({letter.connector for letter in letters}):
            mine = [letter for letter in letters if letter.connector == name]
            await self._queue.settle(dead_letter_topic(name), mine)

    def _chosen(self, connector: str | None) -> tuple[str, ...]:
        if connector is None:
            return self._connectors
        if connector not in self._connectors:
            raise ConnectorNotFound(connector, self._connectors)
        return (connector,)
