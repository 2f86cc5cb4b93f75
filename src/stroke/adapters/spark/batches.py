"""What a source of the engine in one process gives, for Spark: the rows of the service's table."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from stroke.adapters.spark.changes import SKIPPED
from stroke.adapters.spark.faults import translated
from stroke.application.analyses.changes import changes_schema
from stroke.application.analyses.ports import BatchSource, ChangeSource, Position, SourceRead


class SparkBatches(ChangeSource[DataFrame]):
    """The batches of ``changes``, which pass through the driver: it must hold them all."""

    def __init__(self, session: SparkSession, changes: BatchSource) -> None:
        self._session = session
        self._changes = changes

    @translated("the change events")
    def read(self, since: Position | None = None, *, with_name: bool) -> SourceRead[DataFrame]:
        given = self._changes.read(since, with_name=with_name)
        rows = pa.Table.from_batches(given.rows, changes_schema(with_name=with_name))
        frame = self._session.createDataFrame(rows)
        frame = frame.withColumn(SKIPPED, sf.lit(None).cast("string"))
        return SourceRead(frame, given.position, rows.num_rows, has_events=given.has_events)
