"""DuckDbEngine: analyses in this process, without a JVM."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import pyarrow as pa

from stroke.adapters.duckdb.checkpoint import KEPT, Kept
from stroke.adapters.duckdb.faults import translated
from stroke.application.analyses.changes import BatchEngine, changes_schema
from stroke.application.analyses.checkpoints import CannotContinue, IncrementalEngine
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.service import Reached
from stroke.application.analyses.views import clusters_sql, events_sql, snapshot_sql, words_sql

# An older table may hold text that is no list of names: it names nothing.
_FACTORS: Final = """
SELECT list, times, UNNEST(RANGE(1, LEN(named) + 1)) AS ordinal, UNNEST(named) AS factor
FROM (
    SELECT list, times, TRY_CAST(list::JSON AS VARCHAR[]) AS named
    FROM (SELECT contributing_factors AS list, COUNT(*) AS times FROM latest GROUP BY list)
    WHERE json_valid(list) AND json_type(list) = 'ARRAY'
)
"""


class DuckDbEngine(BatchEngine, IncrementalEngine):
    """Holds the changes in at most ``memory_mib`` of memory, and beyond that in temporary files.

    ``folder`` is where these are. To be used in a ``with`` block, which removes it.
    """

    def __init__(self, *, memory_mib: int = 1024, threads: int | None = None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="stroke-analytics-")
        self.folder: Final = Path(self._temporary.name)
        config: dict[str, Any] = {
            "memory_limit": f"{memory_mib}MiB",
            "temp_directory": self._temporary.name,
            # Nothing is fetched, whatever a query names.
            "autoinstall_known_extensions": "false",
            "preserve_insertion_order": "false",
        }
        if threads is not None:
            config["threads"] = threads
        self._database = duckdb.connect(config=config)
        # Where Python looks interactive it would be written to stdout, among the results.
        self._database.execute("SET enable_progress_bar = false")
        self._kept = Kept(self._database, self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()
        self._temporary.cleanup()

    def load(self, batches: Iterator[pa.RecordBatch], *, with_name: bool) -> int:
        self._kept.close()  # of a checkpoint that did not fit
        run = self._database.execute
        with translated("the change log"):
            self._take(batches, with_name=with_name)
            run(f"CREATE OR REPLACE TABLE clusters AS {clusters_sql()}")
            run(f"CREATE OR REPLACE TABLE all_events AS {events_sql()}")
            words = words_sql(clusters="clusters", with_name=with_name)
            run(f"CREATE OR REPLACE TABLE words AS {words}")
            run("DROP TABLE changes")
            return self._look_at("memory", with_name=with_name)

    def resume(self, checkpoint: Path) -> Mapping[str, Any]:
        return self._kept.open(checkpoint)

    def extend(self, batches: Iterator[pa.RecordBatch]) -> int:
        try:
            self._take(batches, with_name=False)
            self._kept.extend()
            self._database.execute("DROP TABLE changes")
            return self._look_at(KEPT, with_name=False)
        except duckdb.Error as error:
            raise CannotContinue("what the last run kept cannot be used") from error

    def query(self, analysis: Analysis) -> pa.Table:
        with translated(analysis.name):
            return self._database.sql(analysis.sql).to_arrow_table()

    def reached(self) -> Sequence[Reached]:
        found = self._database.execute(
            "SELECT cluster, kafka_partition, MAX(place) FROM events GROUP BY ALL ORDER BY ALL"
        )
        return [Reached(*row) for row in found.fetchall()]

    def checkpoint(self, point: Mapping[str, Any]) -> Path:
        with translated("the checkpoint"):
            return self._kept.written(point)

    def _take(self, batches: Iterator[pa.RecordBatch], *, with_name: bool) -> None:
        reader = pa.RecordBatchReader.from_batches(changes_schema(with_name=with_name), batches)
        self._database.register("given", reader)
        self._database.execute("CREATE OR REPLACE TABLE changes AS SELECT * FROM given")
        self._database.unregister("given")

    def _look_at(self, where: str, *, with_name: bool) -> int:
        """Make the views, of the tables that are in the database ``where``."""
        views = {
            "events": f"SELECT * FROM {where}.all_events",  # noqa: S608
            "latest": f"SELECT * FROM {where}.words WHERE op <> 'd'",  # noqa: S608
            "factors": _FACTORS,
            "snapshot": snapshot_sql(with_name=with_name),
        }
        run = self._database.execute
        for name, query in views.items():
            run(f"CREATE OR REPLACE VIEW {name} AS {query}")
        [(count,)] = run("SELECT COUNT(*) FROM latest").fetchall()
        return int(count)
