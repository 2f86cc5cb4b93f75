"""Files of change events that Spark's workers read by Python code that is given to them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from stroke.adapters.spark.changes import SKIPPED, counted_beside, schema_of_changes
from stroke.adapters.spark.faults import translated
from stroke.application.analyses.changes import changes_schema
from stroke.application.analyses.ports import CannotContinue, ChangeSource, Position, SourceRead

ReadPart = Callable[[int], tuple[Sequence[pa.RecordBatch], Mapping[str, int]]]
"""Reads a part, by its number: its events, and the counts of what it skipped."""


class SparkFiles(ChangeSource[DataFrame]):
    """``parts`` parts of files, each read by ``read`` in one of Spark's workers.

    ``read`` is taken to the workers, with everything it refers to. ``place`` says what is read.
    """

    def __init__(
        self,
        session: SparkSession,
        parts: int,
        read: Callable[..., tuple[Sequence[pa.RecordBatch], Mapping[str, int]]],
        place: Mapping[str, Any],
    ) -> None:
        self._session = session
        self._parts = parts
        self._read = read
        self._place = place

    def read(self, since: Position | None = None, *, with_name: bool) -> SourceRead[DataFrame]:
        if since is not None:
            raise CannotContinue("files have no history")
        read, shape = self._read, changes_schema(with_name=with_name)

        def read_parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for part in batch.column("id").to_pylist():
                    events, skipped = read(part, with_name=with_name)
                    for found in events:
                        nothing = pa.nulls(found.num_rows, pa.string())
                        yield found.append_column(SKIPPED, nothing)
                    yield _skipped_row(part, skipped, shape)

        numbers = self._session.range(0, self._parts, 1, self._parts)
        frame = numbers.mapInArrow(read_parts, schema_of_changes(with_name=with_name))

        @translated("the change events")
        def position() -> Position:
            return {**self._place, **_summed(counted_beside(frame))}

        return SourceRead(frame, position)


def _skipped_row(part: int, skipped: Mapping[str, int], schema: pa.Schema) -> pa.RecordBatch:
    """Return a row that says what was skipped; ``part`` keeps it from being another's."""
    row = dict.fromkeys(schema.names)
    row[SKIPPED] = json.dumps([part, dict(skipped)])
    return pa.RecordBatch.from_pylist([row], schema.append(pa.field(SKIPPED, pa.string())))


def _summed(counted: Mapping[str, int]) -> dict[str, int]:
    total = Counter[str]()
    for each in counted:
        total.update(json.loads(each)[1])
    return dict(total)
