"""What became of a patient for whom a prediction was made."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from stroke.domain.errors import InvalidOutcome, Violation

SOURCE_LENGTH: Final = 100

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Than in UTC, a day of the calendar somewhere in the world.
_BEGINS_EARLIER: Final = dt.timedelta(hours=14)
_ENDS_LATER: Final = dt.timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether the patient of a prediction had a stroke, and who says so.

    ``date`` is the day of the stroke or, without one, the last day on which the patient was known
    to have had none. ``source`` names where that is known from (a register, a ward's list), never
    a patient.
    """

    prediction_id: int
    stroke: bool
    date: dt.date
    source: str

    def __post_init__(self) -> None:
        if not 0 < len(self.source) <= SOURCE_LENGTH or _CONTROL.search(self.source):
            raise InvalidOutcome(
                (Violation("source", f"must have 1 to {SOURCE_LENGTH} printable characters"),)
            )

    def check_date(self, *, made_at: dt.datetime | None, now: dt.datetime) -> None:
        """Raise ``InvalidOutcome`` for a day to come, or before the day of the prediction.

        A stroke before the prediction is no outcome of it. Days have no zone, so a day counts
        as come as soon as it has begun anywhere, and as before the prediction only when it was
        over everywhere. ``made_at`` is None where the prediction's own time is not known.
        """
        if self.date > (now + _BEGINS_EARLIER).date():
            raise InvalidOutcome((Violation("date", "must not lie in the future"),))
        ends = dt.datetime.combine(self.date, dt.time.max, dt.UTC) + _ENDS_LATER
        if made_at is not None and ends < made_at:
            raise InvalidOutcome((Violation("date", "must not lie before the prediction"),))


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """A stored outcome; ``recorded_at`` (aware, UTC) is when it was last changed."""

    prediction_id: int
    stroke: bool
    date: dt.date
    source: str
    recorded_at: dt.datetime

    def says(self, outcome: Outcome) -> bool:
        """Return whether this is ``outcome``, whenever it was recorded."""
        return (self.prediction_id, self.stroke, self.date, self.source) == (
            outcome.prediction_id,
            outcome.stroke,
            outcome.date,
            outcome.source,
        )


class KnownPrediction(NamedTuple):
    """When a stored prediction was made, its outcome if it has one, and the site it belongs to."""

    made_at: dt.datetime | None
    outcome: OutcomeRecord | None
    site: str | None = None


class JudgedPrediction(NamedTuple):
    """What judging a model needs of a stored prediction with an outcome.

    ``missing`` names the measurements that the patient lacked, which say what variant of the model
    made the prediction.
    """

    prediction_id: int
    probability: float | None
    risk_category: str | None
    stroke: bool
    gender: str | None
    age: float | None
    made_at: dt.datetime | None = None
    missing: tuple[str, ...] = ()
    smoking_status: str | None = None
    site: str | None = None
