"""Imports outcomes from a file. Importing a file again changes nothing."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stroke.application.predictions.cells import check_account, flag, trimmed, whole_number
from stroke.application.predictions.file_rows import FileRow
from stroke.application.predictions.outcomes import OutcomeService
from stroke.domain.errors import InvalidOutcome, Violation
from stroke.domain.outcome import Outcome
from stroke.domain.prediction import LARGEST_ID

COLUMNS: Final = ("prediction_id", "stroke", "date", "source")

_AT_A_TIME: Final = 500
# Spreadsheets and data frames add midnight to a day.
_DAY: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T]00:00(?::00(?:\.0+)?)?(?:Z|\+00:00)?)?"
)


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

    ``refuse`` gets the line of each row that was not taken, and why; no reason quotes a cell.
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

        Raises ``RowsUnaccounted`` and ``StoreUnavailable``; what was recorded until then stays,
        and the import can be run again.
        """
        for batch in self._batches(rows):
            recorded = await self._outcomes.record_many(list(batch.values()), dry_run=self._dry_run)
            lines = list(batch)
            for place, reason in recorded.refused.items():
                self._reject(lines[place], reason)
            self.tally.new += recorded.new
            self.tally.changed += recorded.changed
            self.tally.unchanged += recorded.unchanged
            progress()
        tally = self.tally
        kept = tally.new + tally.changed + tally.unchanged
        check_account(read=tally.rows, kept=kept, rejected=tally.rejected)
        return tally

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
    cells: Mapping[str, str] = {name: trimmed(str(row.cells[name] or "")) for name in COLUMNS}
    wrong = []
    number = whole_number(cells["prediction_id"])
    if number is not None and not 0 < number <= LARGEST_ID:
        number = None
    if number is None:
        wrong.append(Violation("prediction_id", "must be the number of a prediction"))
    stroke = {0: False, 1: True}.get(flag(cells["stroke"]))  # type: ignore[call-overload]
    if stroke is None:
        wrong.append(Violation("stroke", "must be 1 or 0, yes or no, true or false"))
    date = _day(cells["date"])
    if date is None:
        wrong.append(Violation("date", "must be a day as YYYY-MM-DD"))
    if number is None or stroke is None or date is None:
        raise InvalidOutcome(tuple(wrong))
    return Outcome(number, stroke, date, cells["source"])


def _day(cell: str) -> dt.date | None:
    found = _DAY.fullmatch(cell)
    try:
        return dt.date.fromisoformat(found.group(1)) if found else None
    except ValueError:
        return None
