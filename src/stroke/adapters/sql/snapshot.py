"""The service's own table as a source of analyses, where there is no pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import (
    JSON,
    URL,
    ColumnElement,
    Engine,
    Row,
    Text,
    create_engine,
    func,
    inspect,
    select,
    type_coerce,
)
from sqlalchemy.exc import SQLAlchemyError

from stroke.adapters.sql.tables import predictions
from stroke.application.analyses.changes import changes_schema
from stroke.application.analyses.ports import CannotContinue, ChangeSource, Position, SourceRead
from stroke.domain.errors import StoreUnavailable

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SYNCHRONOUS: Final = {"mysql": "mysql+pymysql", "sqlite": "sqlite"}
_ROWS: Final = 10_000


class SqlChanges(ChangeSource[Iterator[pa.RecordBatch]]):
    """Each row of the table ``predictions`` at ``url`` as if a snapshot had read it.

    There are no events: of what was updated or deleted the table knows nothing.
    """

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername=_SYNCHRONOUS[url.get_backend_name()])

    def read(
        self, since: Position | None = None, *, with_name: bool
    ) -> SourceRead[Iterator[pa.RecordBatch]]:
        if since is not None:
            raise CannotContinue("a table tells its rows, and not which of them are new")
        schema = changes_schema(with_name=with_name)
        engine = create_engine(self._url, hide_parameters=True)
        try:
            with engine.connect() as connection:
                total = connection.scalar(select(func.count()).select_from(predictions))
                found = inspect(connection).get_columns(predictions.name)
        except SQLAlchemyError as error:
            raise StoreUnavailable(
                "the predictions cannot be read: is the database up, and its schema there "
                "(`stroke db status`)?"
            ) from error
        known = {column["name"] for column in found}
        position = {"table": predictions.name, "backend": self._url.get_backend_name()}
        rows = _batches(engine, schema, known)
        return SourceRead(rows, lambda: position, total, has_events=False)


def _batches(engine: Engine, schema: pa.Schema, known: set[str]) -> Iterator[pa.RecordBatch]:
    wanted = {name: stored for name in schema.names if (stored := _stored(name)) in known}
    query = select(*(_as_stored(stored) for stored in wanted.values()))
    try:
        with engine.connect().execution_options(yield_per=_ROWS) as connection:
            for rows in connection.execute(query).partitions():
                yield _batch(rows, list(wanted), schema)
    except SQLAlchemyError as error:
        raise StoreUnavailable("the database went away while it was read: run it again") from error
    finally:
        engine.dispose()


def _stored(name: str) -> str:
    return {"prediction_id": "id", "timestamp_us": "timestamp"}.get(name, name)


def _as_stored(name: str) -> ColumnElement[Any]:
    column = predictions.c[name]
    # Documents as their text.
    return type_coerce(column, Text) if isinstance(column.type, JSON) else column


def _batch(rows: Sequence[Row[Any]], names: Sequence[str], schema: pa.Schema) -> pa.RecordBatch:
    given = dict(zip(names, zip(*rows, strict=True), strict=True))
    given["timestamp_us"] = tuple(map(_micros, given["timestamp_us"]))
    count = len(rows)
    constant = {"op": "r", "ts_us": 0, "cluster": "", "kafka_partition": 0, "place": 0, "turn": 0}
    arrays = []
    for field in schema:
        if field.name in constant:
            arrays.append(pa.repeat(pa.scalar(constant[field.name], field.type), count))
        elif field.name in given:
            arrays.append(pa.array(given[field.name], field.type))
        else:  # of an older schema
            arrays.append(pa.nulls(count, field.type))
    return pa.record_batch(arrays, schema=schema)


def _micros(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return (moment.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
