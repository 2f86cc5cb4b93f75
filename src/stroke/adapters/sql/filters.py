"""What a listing is narrowed to, and ids from outside, in SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Dialect, Text, exists, select, type_coerce

from stroke.adapters.sql.tables import outcomes, predictions
from stroke.domain.prediction import LARGEST_ID, KnownOutcome, PredictionFilter

EXACT: Final = ("risk_category", "country", "province", "model_version")


def storable(prediction_id: int) -> int:
    """Return an id that a column can be compared with, and that no row has when it was not."""
    return prediction_id if 0 < prediction_id <= LARGEST_ID else 0


def conditions(narrowed: PredictionFilter, dialect: Dialect) -> list[ColumnElement[bool]]:
    """Return what rows of ``predictions`` must fulfil to be within ``narrowed``."""
    wanted: list[ColumnElement[bool]] = []
    for name in EXACT:
        value = getattr(narrowed, name)
        if value is not None:
            column: Any = predictions.c[name]
            # MySQL's default collation takes Quebec for Québec; SQLite and Python do not.
            # Its indexes are of the bytes, but for the three categories of risk.
            exact = dialect.name != "mysql"
            if not exact:
                wanted.append(column.collate("utf8mb4_0900_bin") == value)
            if exact or name == "risk_category":
                wanted.append(column == value)
    if narrowed.site is not None:
        # The column tells upper and lower case apart by itself.
        wanted.append(predictions.c.site == narrowed.site)
    if narrowed.outcome is not None:
        wanted.append(_has_outcome(narrowed.outcome))
    # As text: SQLite compares nothing else, and MySQL reads it as the time that it is.
    timestamp = type_coerce(predictions.c.timestamp, Text)
    if narrowed.since is not None:
        wanted.append(timestamp >= comparable(narrowed.since))
    if narrowed.until is not None:
        wanted.append(timestamp < comparable(narrowed.until))
    return wanted


def _has_outcome(known: KnownOutcome) -> ColumnElement[bool]:
    # Known outcomes are few, and looked for from their own table; most rows have none.
    # A query may read the same table beside this one.
    other = outcomes.alias()
    if known is KnownOutcome.UNKNOWN:
        return ~exists().where(other.c.prediction_id == predictions.c.id)
    found = select(other.c.prediction_id).where(other.c.stroke == (known is KnownOutcome.STROKE))
    return predictions.c.id.in_(found)


def comparable(moment: datetime) -> str:
    """Return an aware ``moment`` as a timestamp that was selected as text compares with it."""
    # Without zeros for absent microseconds: rows that SQLite dated itself have none either, and
    # "12:00:00" is less than "12:00:00.000000" to it, and both are at least "12:00:00".
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
