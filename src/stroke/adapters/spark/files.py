"""Files of change events that Spark's workers read by Python code that is given to them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from stroke.adapters.spark.changes import BESIDE, SparkInput, SparkSource, schema_of_changes
from stroke.application.analyses.changes import changes_schema
from stroke.application.analyses.checkpoints import CannotContinue

ReadPart = Callable[[int], tuple[Sequence[pa.RecordBatch], Mapping[str, int]]]
"""Reads a part, by its number: its events, and how much of what is beside them."""


class SparkFiles(SparkSource):
    """``parts`` parts of files, each read by ``read`` in one of Spark's workers.

    ``read`` is taken to the workers, with everything it refers to. ``point`` says what is read.
    """

    def __init__(
        self,
        session: SparkSession,
        parts: int,
        read: Callable[..., tuple[Sequence[pa.RecordBatch], Mapping[str, int]]],
        point: Mapping[str, Any],
    ) -> None:
        self._session = session
        self._parts = parts
        self._read = read
        self._point = point

    def read(self, since: Mapping[str, Any] | None, *, with_name: bool) -> SparkInput:
        if since is not None:
            raise CannotContinue("files have no history")
        read, shape = self._read, changes_schema(with_name=with_name)

        def read_parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for part in batch.column("id").to_pylist():
                    events, beside = read(part, with_name=with_name)
                    for found in events:
                        nothing = pa.nulls(found.num_rows, pa.string())
                        yield found.append_column(BESIDE, nothing)
                    yield _told(part, beside, shape)

        numbers = self._session.range(0, self._parts, 1, self._parts)
        frame = numbers.mapInArrow(read_parts, schema_of_changes(with_name=with_name))
        return SparkInput(frame, lambda told: {**self._point, **_summed(told)})


def _told(part: int, beside: Mapping[str, int], schema: pa.Schema) -> pa.RecordBatch:
    """Return a row that says what is beside the events; ``part`` keeps it from being another's."""
    row = dict.fromkeys(schema.names)
    row[BESIDE] = json.dumps([part, dict(beside)])
    return pa.RecordBatch.from_pylist([row], schema.append(pa.field(BESIDE, pa.string())))


def _summed(told: Mapping[str, int]) -> dict[str, int]:
    total = Counter[str]()
    for each in told:
        total.update(json.loads(each)[1])
    return dict(total)
