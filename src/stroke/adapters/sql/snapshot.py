"""The service's own table as a source of analyses, where there is no pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import (
    URL,
    ColumnElement,
    Engine,
    Row,
    create_engine,
    func,
    inspect,
    select,
    type_coerce,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import NullType

from stroke.adapters.sql.filters import conditions
from stroke.adapters.sql.tables import predictions
from stroke.application.analyses.changes import Counts, arrow_column, changes_schema
from stroke.application.analyses.ports import CannotContinue, ChangeSource, Position, SourceRead
from stroke.domain.errors import StoreUnavailable
from stroke.domain.prediction import PredictionFilter

_SYNCHRONOUS: Final = {"mysql": "mysql+pymysql", "sqlite": "sqlite"}
_ROWS: Final = 10_000
EVERYTHING: Final = PredictionFilter()


class SqlChanges(ChangeSource[Iterator[pa.RecordBatch]]):
    """Each row of the table ``predictions`` at ``url`` as if a snapshot had read it.

    There are no events: of what was updated or deleted the table knows nothing. Only rows that are
    ``within`` are read; ``with_data`` adds the column ``prediction_data``.
    """

    def __init__(
        self, url: URL, within: PredictionFilter = EVERYTHING, *, with_data: bool = False
    ) -> None:
        self._within = within
        self._with_data = with_data
        self._url = url.set(drivername=_SYNCHRONOUS[url.get_backend_name()])

    def read(
        self, since: Position | None = None, *, with_name: bool
    ) -> SourceRead[Iterator[pa.RecordBatch]]:
        if since is not None:
            raise CannotContinue("a table has its rows, and does not say which of them are new")
        schema = changes_schema(with_name=with_name, with_data=self._with_data)
        engine = create_engine(self._url, hide_parameters=True)
        try:
            with engine.connect() as connection:
                wanted = conditions(self._within, engine.dialect)
                counting = select(func.count()).select_from(predictions).where(*wanted)
                total = connection.scalar(counting)
                found = inspect(connection).get_columns(predictions.name)
        except SQLAlchemyError as error:
            raise StoreUnavailable(
                "the predictions cannot be read: is the database up, and its schema there "
                "(`stroke db status`)?"
            ) from error
        known = {column["name"] for column in found}
        place = {"table": predictions.name, "backend": self._url.get_backend_name()}
        counts = Counts()
        rows = _batches(engine, schema, known, counts, wanted)
        return SourceRead(rows, lambda: place | _beside(counts), total, has_events=False)


def _beside(counts: Counts) -> dict[str, Any]:
    """Return what was no value of its column, if there was any."""
    return {"strange_values": counts.strange_values} if counts.strange_values else {}


def _batches(
    engine: Engine,
    schema: pa.Schema,
    known: set[str],
    counts: Counts,
    within: Sequence[ColumnElement[bool]],
) -> Iterator[pa.RecordBatch]:
    wanted = {name: stored for name in schema.names if (stored := _stored(name)) in known}
    query = select(*(_as_stored(stored) for stored in wanted.values())).where(*within)
    try:
        with engine.connect().execution_options(yield_per=_ROWS) as connection:
            for rows in connection.execute(query).partitions():
                yield _batch(rows, list(wanted), schema, counts)
    except SQLAlchemyError as error:
        raise StoreUnavailable("the database went away while it was read: run it again") from error
    finally:
        engine.dispose()


def _stored(name: str) -> str:
    return {"prediction_id": "id", "timestamp_us": "timestamp"}.get(name, name)


def _as_stored(name: str) -> ColumnElement[Any]:
    """Return a column as its driver gives it: an adopted table may hold what its type here has not.

    Documents come as their text.
    """
    return type_coerce(predictions.c[name], NullType)


def _batch(
    rows: Sequence[Row[Any]], names: Sequence[str], schema: pa.Schema, counts: Counts
) -> pa.RecordBatch:
    given = dict(zip(names, zip(*rows, strict=True), strict=True))
    count = len(rows)
    constant = {"op": "r", "ts_us": 0, "cluster": "", "kafka_partition": 0, "place": 0, "turn": 0}
    arrays = []
    for field in schema:
        if field.name in constant:
            arrays.append(pa.repeat(pa.scalar(constant[field.name], field.type), count))
        elif field.name in given:
            arrays.append(arrow_column(given[field.name], field, counts, unit=None))
        else:  # of an older schema
            arrays.append(pa.nulls(count, field.type))
    return pa.record_batch(arrays, schema=schema)
