"""Analyses of a stream: each batch of records is read once, whenever the stream ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Final, Generic, TypeVar

from stroke.application.analyses.ports import (
    AnalyticsEngine,
    CannotContinue,
    ChangeSource,
    Position,
    ResultStore,
    SourceRead,
)
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.runs import AnalyticsRun
from stroke.application.analyses.service import AnalyticsService
from stroke.domain.errors import InvalidData

Rows = TypeVar("Rows")

_BATCH: Final = "batch"
_OF_ANOTHER_STREAM: Final = (
    "the checkpoint's tables and its offsets are not of the same stream: remove it whole, and the "
    "stream begins anew"
)


class StreamBatches(Generic[Rows]):
    """Keeps the results of ``analyses`` as current as the batches of ``topic``'s records.

    A batch that was begun and not ended comes again with the same number and the same records.
    ``on_run`` takes the record of each batch that is done.
    """

    def __init__(
        self,
        analyses: Sequence[Analysis],
        results: ResultStore,
        *,
        topic: str,
        engine_name: str,
        now: Callable[[], datetime],
        on_run: Callable[[AnalyticsRun], None],
    ) -> None:
        self._analyses = analyses
        self._results = results
        self._topic = topic
        self._engine_name = engine_name
        self._now = now
        self._on_run = on_run

    def work(self, engine: AnalyticsEngine[Rows], records: ChangeSource[Rows], number: int) -> None:
        """Add the ``records`` of the batch ``number`` (from 0 on) to the results.

        ``engine`` has the checkpoint of the batch before, and is closed. Passes over a batch that
        is in it already. Raises ``InvalidData`` where a batch between them is missing, and what
        the ports raise.
        """
        with closing(engine):
            last = _last_batch(engine)
            if last == number:
                return  # done, and the stream was killed before it took note of it
            if last != _before(number):
                raise InvalidData(_OF_ANOTHER_STREAM)
            service = AnalyticsService(
                engine,
                StreamBatch(records, topic=self._topic, number=number),
                self._results,
                source_name="kafka",
                engine_name=self._engine_name,
                now=self._now,
            )
            self._on_run(service.run(self._analyses, with_name=False, on_progress=lambda *_: None))


def _last_batch(engine: AnalyticsEngine[Rows]) -> object:
    """Return the number of the last batch that is done; None where nothing says so."""
    try:
        return (engine.resume() or {}).get(_BATCH)
    except CannotContinue:
        return None


def _before(number: int) -> int | None:
    return number - 1 if number else None


class StreamBatch(ChangeSource[Rows]):
    """The ``records`` of one batch as a source; its position is the batch's ``number``."""

    def __init__(self, records: ChangeSource[Rows], *, topic: str, number: int) -> None:
        self._records = records
        self._topic = topic
        self._number = number

    def read(self, since: Position | None = None, *, with_name: bool) -> SourceRead[Rows]:
        """Read what came after the batch before.

        Also raises ``InvalidData`` where everything is asked for of a later batch than the first:
        those before it would be missing.
        """
        before = _before(self._number)
        if since is None and before is not None:
            raise InvalidData(_OF_ANOTHER_STREAM)
        if since is not None and (before is None or since != self._position(before)):
            raise CannotContinue("it was not the batch before")
        read = self._records.read(with_name=with_name)
        return replace(read, position=lambda: self._position(self._number))

    def _position(self, number: int) -> Position:
        return {"topic": self._topic, _BATCH: number}
