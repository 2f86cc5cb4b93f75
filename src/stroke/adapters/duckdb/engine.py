"""DuckDbEngine: analyses in this process, without a JVM."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import pyarrow as pa

from stroke.adapters.duckdb.checkpoint import SAVED, CheckpointFile
from stroke.adapters.duckdb.faults import translated
from stroke.application.analyses.changes import changes_schema
from stroke.application.analyses.ports import (
    AnalyticsEngine,
    CannotContinue,
    CheckpointStore,
    Loaded,
    Position,
    Progress,
    SourceRead,
)
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.runs import Reached
from stroke.application.analyses.views import clusters_sql, events_sql, snapshot_sql, words_sql

Batches = Iterator[pa.RecordBatch]

# An older table may hold text that is no list of names: it names nothing.
_FACTORS: Final = """
SELECT list, times, UNNEST(RANGE(1, LEN(named) + 1)) AS ordinal, UNNEST(named) AS factor
FROM (
    SELECT list, times, TRY_CAST(list::JSON AS VARCHAR[]) AS named
    FROM (SELECT contributing_factors AS list, COUNT(*) AS times FROM latest GROUP BY list)
    WHERE json_valid(list) AND json_type(list) = 'ARRAY'
)
"""


class DuckDbEngine(AnalyticsEngine[Batches]):
    """Holds the changes in at most ``memory_mib`` of memory, and beyond that in temporary files.

    Where there are ``checkpoints``, a run continues from the last one. To be used in a ``with``
    block, which removes the temporary files.
    """

    def __init__(
        self,
        *,
        memory_mib: int = 1024,
        threads: int | None = None,
        checkpoints: CheckpointStore | None = None,
    ) -> None:
        self._checkpoints = checkpoints
        self._has_names = False
        self._temporary = tempfile.TemporaryDirectory(prefix="stroke-analytics-")
        self._folder = Path(self._temporary.name)
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
        self._checkpoint = CheckpointFile(self._database, self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()
        self._temporary.cleanup()

    def resume(self) -> Position | None:
        self._checkpoint.close()
        path = None if self._checkpoints is None else self._checkpoints.load(self._folder)
        return None if path is None else self._checkpoint.open(path)

    def load(self, read: SourceRead[Batches], *, with_name: bool, on_progress: Progress) -> Loaded:
        self._checkpoint.close()  # of a checkpoint that did not fit
        self._has_names = with_name
        run = self._database.execute
        with translated("the change log"):
            events = self._take(read, on_progress, with_name=with_name)
            run(f"CREATE OR REPLACE TABLE clusters AS {clusters_sql()}")
            run(f"CREATE OR REPLACE TABLE all_events AS {events_sql()}")
            words = words_sql(clusters="clusters", with_name=with_name)
            run(f"CREATE OR REPLACE TABLE words AS {words}")
            run("DROP TABLE changes")
            predictions = self._look_at("memory", with_name=with_name)
        return Loaded(events, predictions, self._reached() if read.has_events else ())

    def extend(self, read: SourceRead[Batches], *, on_progress: Progress) -> Loaded:
        try:
            events = self._take(read, on_progress, with_name=False)
            self._checkpoint.extend()
            self._database.execute("DROP TABLE changes")
            predictions = self._look_at(SAVED, with_name=False)
            return Loaded(events, predictions, self._reached() if read.has_events else ())
        except duckdb.Error as error:
            raise CannotContinue("what the last run kept cannot be used") from error

    def query(self, analysis: Analysis) -> pa.Table:
        with translated(analysis.name):
            return self._database.sql(analysis.sql).to_arrow_table()

    def save(self, position: Position) -> None:
        if self._checkpoints is not None and not self._has_names:
            with translated("the checkpoint"):
                path = self._checkpoint.written(position)
            self._checkpoints.save(path)

    def _reached(self) -> Sequence[Reached]:
        found = self._database.execute(
            "SELECT cluster, kafka_partition, MAX(place) FROM events GROUP BY ALL ORDER BY ALL"
        )
        return [Reached(*row) for row in found.fetchall()]

    def _take(self, read: SourceRead[Batches], on_progress: Progress, *, with_name: bool) -> int:
        """Make the table ``changes``; return how many rows it has. Raises what the source does."""
        rows = _CountedRows(read, on_progress)
        reader = pa.RecordBatchReader.from_batches(changes_schema(with_name=with_name), iter(rows))
        self._database.register("given", reader)
        try:
            self._database.execute("CREATE OR REPLACE TABLE changes AS SELECT * FROM given")
        except duckdb.Error as error:
            raise rows.failure or error  # noqa: B904 -- DuckDB's wraps the source's
        finally:
            self._database.unregister("given")
        return rows.count

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


class _CountedRows:
    """The batches of a source, counted as they pass.

    ``failure`` is what ended them: DuckDB quotes it in the text of an error of its own.
    """

    def __init__(self, read: SourceRead[Batches], on_progress: Progress) -> None:
        self.count = 0
        self.failure: BaseException | None = None
        self._read = read
        self._on_progress = on_progress

    def __iter__(self) -> Batches:
        try:
            for batch in self._read.rows:
                self.count += batch.num_rows
                self._on_progress("reading", self.count, self._read.total)
                yield batch
        except BaseException as failure:
            self.failure = None if isinstance(failure, GeneratorExit) else failure
            raise
