"""Predictions in a file, as batches that a replay takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from stroke.application.models.replay import MAY_LACK, STORED
from stroke.application.predictions.cells import (
    choice,
    flag,
    further_cell,
    is_no_value,
    measurement,
    smoking_status,
    whole_number,
)
from stroke.application.predictions.file_rows import FileRow
from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import Further

IDS: Final = ("id", "prediction_id")
"""Columns that name a row, the first one first. Without either a row is named by its line."""

COLUMNS: Final = (
    *IDS,
    "timestamp",
    *RAW_FEATURES,
    "probability",
    "risk_category",
    "model_version",
    "contributing_factors",
    "stroke",
)
NEEDED: Final = (*RAW_FEATURES, "probability", "model_version")

_SCHEMA: Final = STORED.append(pa.field("stroke", pa.bool_()))
_AT_ONCE: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS: Final = ("model_version", "contributing_factors")


def batches_of(
    rows: Iterable[FileRow],
    unreadable: Callable[[], object],
    further: Further = (),
    *,
    with_site: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Yield ``rows`` in batches; ``unreadable`` is called for each that could not be read.

    A cell that does not hold what its column does counts as one without a value. The batches have
    columns of the ``further`` features, which a model declares for itself, and with ``with_site``
    the column ``site`` as well. Those of ``MAY_LACK`` they have where the rows have them.
    """
    own = [pa.field(each.name, pa.string() if each.is_text else pa.float64()) for each in further]
    site_field = [pa.field("site", pa.string())] if with_site else []
    schema = pa.schema([*_SCHEMA, *site_field, *own])
    read = iter(rows)
    while page := list(islice(read, _AT_ONCE)):
        kept: list[dict[str, Any]] = []
        lacked = set(MAY_LACK)
        for row in page:
            if row.problem is None:
                site = {"site": _text(choice(row.cells.get("site")))} if with_site else {}
                kept.append(_values(row) | site | _further_values(row, further))
                lacked -= row.cells.keys()
            else:
                unreadable()
        if kept:
            had = pa.schema([field for field in schema if field.name not in lacked])
            yield pa.RecordBatch.from_pylist(kept, had)


def _further_values(row: FileRow, further: Further) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in further:
        said = further_cell(each, row.cells)
        found[each.name] = _text(said) if each.is_text else _number(said, otherwise=float("inf"))
    return found


def _values(row: FileRow) -> dict[str, Any]:
    cells = row.cells
    found: dict[str, Any] = {
        "prediction_id": _id(row),
        "timestamp_us": _micros(cells.get("timestamp")),
        "gender": _text(choice(cells.get("gender"))),
        "smoking_status": _text(smoking_status(cells.get("smoking_status"))),
        "risk_category": _text(choice(cells.get("risk_category"))),
        "probability": _number(measurement(cells.get("probability"))),
        "stroke": _flag(cells.get("stroke")),
    }
    for name in ("age", "avg_glucose_level", "bmi"):
        found[name] = _number(measurement(cells.get(name)), otherwise=float("inf"))
    for name in ("hypertension", "heart_disease"):
        found[name] = _number(flag(cells.get(name)), otherwise=float("inf"))
    for name in _TEXTS:
        found[name] = _text(cells.get(name))
    return found


def _id(row: FileRow) -> int:
    for name in IDS:
        if isinstance(text := row.cells.get(name), str) and (known := whole_number(text)):
            return known
    return row.line


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object, otherwise: float | None = None) -> float | None:
    """Return the number that ``value`` is; what is no number is ``otherwise``."""
    if value is None:
        return None
    return float(value) if isinstance(value, (int, float)) else otherwise


def _flag(value: object) -> bool | None:
    known = flag(value)
    return bool(known) if isinstance(known, int) else None


def _micros(value: object) -> int | None:
    if not isinstance(value, str) or is_no_value(value):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
