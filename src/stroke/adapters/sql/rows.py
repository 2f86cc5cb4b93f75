"""Predictions to rows, and rows to records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Row, Select, Text, select, type_coerce

from stroke.adapters.sql.tables import COLUMNS, predictions
from stroke.domain.patient import values_of_columns
from stroke.domain.prediction import Prediction, PredictionRecord, prediction_data

WRITTEN: Final = COLUMNS[1:]  # the id is the database's
_READ: Final = tuple(PredictionRecord.__slots__)
# Read and written as text: an adopted table may hold what SQLAlchemy's types would choke on.
AS_TEXT: Final = frozenset({"timestamp", "contributing_factors", "prediction_data"})


def utc_text(moment: datetime) -> str:
    """Return an aware ``moment`` as both databases take it: UTC, microseconds, no zone."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def parameters(batch: Sequence[Prediction]) -> tuple[Any, ...]:
    """Return the values of all rows of ``batch``, one after the other, in order of ``WRITTEN``."""
    flat: list[Any] = []
    moment: datetime | None = None
    timestamp = ""
    dumps = orjson.dumps
    for made in batch:
        if made.made_at is not moment:  # predictions of one graph run share theirs
            moment = made.made_at
            timestamp = utc_text(moment)
        assessment = made.assessment
        flat += (
            timestamp,
            *values_of_columns(made.patient),
            assessment.probability,
            assessment.category.value,
            dumps(assessment.factors).decode(),
            dumps(prediction_data(made)).decode(),
            made.model_version,
            made.idempotency_key,
            made.origin.site,
            made.origin.created_by,
        )
    return tuple(flat)


def unprocessed(names: Sequence[str]) -> list[ColumnElement[Any]]:
    """Return columns to select whose values come as the driver has them."""
    return [
        type_coerce(predictions.c[name], Text).label(name)
        if name in AS_TEXT
        else predictions.c[name]
        for name in names
    ]


def select_records() -> Select[Any]:
    """Return the select whose rows ``to_record`` takes."""
    return select(*unprocessed(_READ))


def to_record(row: Row[Any]) -> PredictionRecord:
    """Return ``row`` as it is; what cannot be understood stays text, an unreadable time is None."""
    values = dict(zip(_READ, row, strict=True))
    values["timestamp"] = to_utc(values["timestamp"])
    values["contributing_factors"] = _decoded(values["contributing_factors"])
    values["prediction_data"] = _decoded(values["prediction_data"])
    return PredictionRecord(**values)


def to_utc(stored: object) -> datetime | None:
    """Return a time as a driver has it, aware; None for what is no time."""
    if isinstance(stored, str):  # SQLite's only kind, and MySQL's zero dates
        try:
            stored = datetime.fromisoformat(stored)
        except ValueError:
            return None
    if not isinstance(stored, datetime):
        return None
    return stored.astimezone(UTC) if stored.tzinfo else stored.replace(tzinfo=UTC)


def _decoded(stored: object) -> Any:
    if not isinstance(stored, (str, bytes)):
        return stored
    try:
        return orjson.loads(stored)
    except orjson.JSONDecodeError:
        return stored
