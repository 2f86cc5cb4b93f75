"""DuckDbEngine: analyses in this process, without a JVM."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import pyarrow as pa

from stroke.application.analytics import AnalyticsEngine
from stroke.application.change_batches import changes_schema
from stroke.domain.analyses import Analysis
from stroke.domain.change_views import events_sql, latest_sql, snapshot_sql
from stroke.domain.errors import InvalidData

# An older table may hold text that is no list of names: it names nothing.
_FACTORS: Final = """
SELECT prediction_id, UNNEST(RANGE(1, LEN(named) + 1)) AS ordinal, UNNEST(named) AS factor
FROM (
    SELECT prediction_id, TRY_CAST(contributing_factors::JSON AS VARCHAR[]) AS named
    FROM latest
    WHERE json_valid(contributing_factors) AND json_type(contributing_factors) = 'ARRAY'
)
"""


class DuckDbEngine(AnalyticsEngine):
    """Holds the changes in at most ``memory_mib`` of memory, and beyond that in temporary files.

    To be used in a ``with`` block, which removes those files.
    """

    def __init__(self, *, memory_mib: int = 1024, threads: int | None = None) -> None:
        self._spill = tempfile.TemporaryDirectory(prefix="stroke-analytics-")
        config: dict[str, Any] = {
            "memory_limit": f"{memory_mib}MiB",
            "temp_directory": self._spill.name,
            # Nothing is fetched, whatever a query names.
            "autoinstall_known_extensions": "false",
            "preserve_insertion_order": "false",
        }
        if threads is not None:
            config["threads"] = threads
        self._database = duckdb.connect(config=config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()
        self._spill.cleanup()

    def load(self, batches: Iterator[pa.RecordBatch], *, with_name: bool) -> int:
        reader = pa.RecordBatchReader.from_batches(changes_schema(with_name=with_name), batches)
        run = self._database.execute
        self._database.register("given", reader)
        run("CREATE OR REPLACE TABLE changes AS SELECT * FROM given")
        self._database.unregister("given")
        run(f"CREATE OR REPLACE TABLE events AS {events_sql()}")
        run(f"CREATE OR REPLACE TABLE latest AS {latest_sql(with_name=with_name)}")
        run("DROP TABLE changes")
        run(f"CREATE OR REPLACE TABLE factors AS {_FACTORS}")
        run(f"CREATE OR REPLACE TABLE snapshot AS {snapshot_sql(with_name=with_name)}")
        run("DROP TABLE latest")
        [(count,)] = run("SELECT COUNT(*) FROM snapshot").fetchall()
        return int(count)

    def query(self, analysis: Analysis) -> pa.Table:
        try:
            return self._database.sql(analysis.sql).to_arrow_table()
        except duckdb.OutOfMemoryException as error:
            raise InvalidData(
                f"{analysis.name} needs more memory or room for temporary files: give it more "
                "with --memory, or run it on Spark"
            ) from error
