"""A stream of Kafka's records in batches, each of which is worked on until it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession

from stroke.adapters.spark.faults import kind_of
from stroke.domain.errors import BrokerUnavailable, StrokeError

OFFSETS: Final = "offsets"
"""The folder of the checkpoint in which Spark keeps where it is."""

Work = Callable[[DataFrame, int], None]


class SparkStream:
    """The topic that ``options`` name, from where the last stream on ``checkpoint`` ended.

    A batch that was begun and not ended is given to ``work`` again, the same records with the same
    number.
    """

    def __init__(
        self,
        session: SparkSession,
        options: Mapping[str, str],
        *,
        checkpoint: str,
        work: Work,
        records_at_once: int,
    ) -> None:
        self._session = session
        self._options = {**options, "maxOffsetsPerTrigger": str(records_at_once)}
        self._checkpoint = checkpoint
        self._work = work
        self._trouble: StrokeError | None = None
        self._done: int | None = None

    def run(self, *, every_seconds: float | None) -> None:
        """Work on what is there, and, unless ``every_seconds`` is None, on what comes.

        Raises what ``work`` raises, and ``BrokerUnavailable`` for trouble of Spark's own.
        """
        trigger = (
            {"availableNow": True}
            if every_seconds is None
            else {"processingTime": f"{every_seconds} seconds"}
        )
        done = self._done
        while True:
            try:
                return self._run(trigger)
            except BrokerUnavailable:
                # Behind a batch that another process began, Spark 4.1.1's Kafka source fails
                # (SPARK-57438). The batch is done by then: a new query goes on with the next one.
                if self._done == done:
                    raise
                done = self._done

    def _run(self, trigger: dict[str, Any]) -> None:
        records = self._session.readStream.format("kafka").options(**self._options).load()
        query = (
            records.writeStream.foreachBatch(self._do)
            .option("checkpointLocation", f"{self._checkpoint}/{OFFSETS}")
            .trigger(**trigger)
            .start()
        )
        try:
            query.awaitTermination()
        except StreamingQueryException as error:
            if self._trouble is not None:
                raise self._trouble from None
            raise BrokerUnavailable(
                f"the stream from Kafka ended ({kind_of(error)}): see Spark's log"
            ) from error
        finally:
            query.stop()

    def _do(self, records: DataFrame, number: int) -> None:
        try:
            self._work(records, number)
        except StrokeError as error:
            self._trouble = error
            raise
        self._done = number
