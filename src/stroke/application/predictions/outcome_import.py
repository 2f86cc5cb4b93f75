"""Imports outcomes from a file. Importing a file again changes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stroke.application.predictions.file_rows import FileRow
from stroke.application.predictions.outcomes import OutcomeService
from stroke.domain.errors import InvalidOutcome, Violation
from stroke.domain.outcome import Outcome
from stroke.domain.prediction import LARGEST_ID

COLUMNS: Final = ("prediction_id", "stroke", "date", "source")

_AT_A_TIME: Final = 500
_STROKE: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(slots=True)
class OutcomeTally:
    """How many rows were recorded, were known already, and were refused."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0


class OutcomeImport:
    """Records outcomes, the last one of a prediction being the one that stays.

    ``refuse`` is told the line of each row that was not taken, and why; no reason quotes a cell.
    """

    def __init__(
        self,
        outcomes: OutcomeService,
        *,
        dry_run: bool = False,
        refuse: Callable[[int, str], None],
    ) -> None:
        self._outcomes = outcomes
        self._dry_run = dry_run
        self._refuse = refuse
        self.tally = OutcomeTally()

    async def run(self, rows: Iterable[FileRow], *, progress: Callable[[], None]) -> OutcomeTally:
        """Record ``rows``, up to 500 to a transaction; ``progress`` is called after each.

        Raises ``StoreUnavailable``; what was recorded until then stays, and the import can be
        run again.
        """
        for batch in self._batches(rows):
            told = await self._outcomes.record_many(list(batch.values()), dry_run=self._dry_run)
            lines = list(batch)
            for place, reason in told.refused.items():
                self._reject(lines[place], reason)
            self.tally.new += told.new
            self.tally.changed += told.changed
            self.tally.unchanged += told.unchanged
            progress()
        return self.tally

    def _batches(self, rows: Iterable[FileRow]) -> Iterator[dict[int, Outcome]]:
        """Return readable outcomes by their lines, no prediction twice in a batch."""
        batch: dict[int, Outcome] = {}
        named: set[int] = set()
        for row in rows:
            self.tally.rows += 1
            try:
                outcome = _outcome(row)
            except InvalidOutcome as error:
                self._reject(row.line, str(error))
                continue
            if len(batch) == _AT_A_TIME or outcome.prediction_id in named:
                yield batch
                batch, named = {}, set()
            batch[row.line] = outcome
            named.add(outcome.prediction_id)
        if batch:
            yield batch

    def _reject(self, line: int, reason: str) -> None:
        self.tally.rejected += 1
        self._refuse(line, reason)


def _outcome(row: FileRow) -> Outcome:
    if row.problem is not None:
        raise InvalidOutcome((Violation("the line", row.problem),))
    cells: Mapping[str, str] = {name: str(row.cells[name] or "").strip() for name in COLUMNS}
    wrong = []
    number = _number(cells["prediction_id"])
    if number is None:
        wrong.append(Violation("prediction_id", "must be the number of a prediction"))
    stroke = _STROKE.get(cells["stroke"].lower())
    if stroke is None:
        wrong.append(Violation("stroke", "must be 1 or 0, yes or no, true or false"))
    date = _day(cells["date"])
    if date is None:
        wrong.append(Violation("date", "must be a day as YYYY-MM-DD"))
    if number is None or stroke is None or date is None:
        raise InvalidOutcome(tuple(wrong))
    return Outcome(number, stroke, date, cells["source"])


def _number(cell: str) -> int | None:
    if not (cell.isascii() and cell.isdigit() and len(cell) <= len(str(LARGEST_ID))):
        return None
    return number if 0 < (number := int(cell)) <= LARGEST_ID else None


def _day(cell: str) -> dt.date | None:
    try:
        return dt.datetime.strptime(cell, "%Y-%m-%d").date()  # noqa: DTZ007 -- a day has no zone
    except ValueError:
        return None
