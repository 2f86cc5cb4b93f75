"""What a source of the engine in one process gives, for Spark: the rows of the service's table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf

from stroke.adapters.spark.changes import BESIDE, SparkInput, SparkSource
from stroke.application.analyses.changes import ChangeSource, changes_schema
from stroke.application.analyses.checkpoints import CannotContinue


class SparkBatches(SparkSource):
    """The batches of ``changes``, which pass through the driver: it must hold them all."""

    def __init__(self, session: SparkSession, changes: ChangeSource) -> None:
        self._session = session
        self._changes = changes

    def read(self, since: Mapping[str, Any] | None, *, with_name: bool) -> SparkInput:
        """Read everything. Raises what the source raises."""
        if since is not None:
            raise CannotContinue("a table tells its rows, and not which of them are new")
        given = self._changes.read(with_name=with_name)
        rows = pa.Table.from_batches(given.batches, changes_schema(with_name=with_name))
        frame = self._session.createDataFrame(rows)
        return SparkInput(
            frame.withColumn(BESIDE, sf.lit(None).cast("string")),
            lambda _: given.point,
            has_events=given.has_events,
        )
