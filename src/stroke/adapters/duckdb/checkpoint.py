"""What an engine loaded, as a file of DuckDB's that the next run goes on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import duckdb

from stroke.application.analyses.checkpoints import CannotContinue
from stroke.application.analyses.views import CHANGES, clusters_sql, events_sql, words_sql

KEPT: Final = "kept"
"""The name that the file's tables have in queries: ``kept.words`` ..."""

# clusters: when the first event of each Kafka cluster was read
# words: the last change of each id, deletions among them
# all_events: every event once
TABLES: Final = ("all_events", "clusters", "words")
_HEAD: Final = "head"
_VERSION: Final = 1
_SHAPE: Final = json.dumps([_VERSION, *CHANGES.items()])

# The sink may have stored an event that it had stored before.
_NEW_EVENTS: Final = (
    f"{events_sql()} EXCEPT "  # noqa: S608
    "SELECT * FROM kept.all_events SEMI JOIN changes USING (cluster, kafka_partition, place)"
)
_IDS: Final = "SELECT DISTINCT prediction_id FROM changes WHERE prediction_id IS NOT NULL"
_NEW_WORDS: Final = words_sql(
    of="""(
        SELECT * FROM kept.words SEMI JOIN told USING (prediction_id)
        UNION ALL BY NAME SELECT * FROM changes
    )""",
    clusters="kept.clusters",
)


class Kept:
    """The file, attached to ``database`` while it is open; ``folder`` is where one is made anew."""

    def __init__(self, database: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._run = database.execute
        self._folder = folder
        self._path: Path | None = None

    def open(self, path: Path) -> Mapping[str, Any]:
        """Return the point that a file was made at. Raises ``CannotContinue``."""
        try:
            self._attach(path)
            found = self._run(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY ALL",
                [KEPT],
            )
            # A view could read what is no part of the file.
            if [name for (name,) in found.fetchall()] != sorted((*TABLES, _HEAD)):
                raise CannotContinue("what the last run kept is something else")
            [(shape, point)] = self._run("SELECT shape, point FROM kept.head").fetchall()
        except (duckdb.Error, ValueError) as error:
            raise CannotContinue("what the last run kept cannot be read") from error
        if shape != _SHAPE:
            raise CannotContinue("another version of stroke kept what the last run read")
        known: dict[str, Any] = json.loads(point)
        return known

    def extend(self) -> None:
        """Take the table ``changes`` in. Raises ``CannotContinue``."""
        self._keep_order()
        self._run(f"CREATE OR REPLACE TABLE new_events AS {_NEW_EVENTS}")
        self._run(f"CREATE OR REPLACE TABLE told AS {_IDS}")
        self._run(f"CREATE OR REPLACE TABLE new_words AS {_NEW_WORDS}")
        self._run("DELETE FROM kept.words WHERE prediction_id IN (SELECT prediction_id FROM told)")
        self._run("INSERT INTO kept.words BY NAME SELECT * FROM new_words")
        self._run("INSERT INTO kept.all_events BY NAME SELECT * FROM new_events")

    def written(self, point: Mapping[str, Any]) -> Path:
        """Return the file, closed, as of ``point``: that which is open, or else a new one."""
        if self._path is None:
            self._attach(self._folder / "checkpoint.duckdb")
            self._run("CREATE TABLE kept.head (shape VARCHAR, point VARCHAR)")
            for table in TABLES:
                self._run(f"CREATE TABLE kept.{table} AS SELECT * FROM memory.{table}")  # noqa: S608
        self._run("DELETE FROM kept.head")
        self._run("INSERT INTO kept.head VALUES (?, ?)", [_SHAPE, json.dumps(dict(point))])
        return self.close()

    def close(self) -> Path:
        """Let go of the file, if one is open, and return where it is."""
        path = self._path or self._folder
        if self._path is not None:
            self._run("DETACH kept")
            self._path = None
        return path

    def _attach(self, path: Path) -> None:
        quoted = str(path).replace("'", "''")
        self._run(f"ATTACH '{quoted}' AS kept")
        self._path = path

    def _keep_order(self) -> None:
        """Add the clusters that are new; no event may come before the first of a known one."""
        found = self._run(
            f"SELECT COUNT(*) FROM ({clusters_sql()}) AS now JOIN kept.clusters AS before "  # noqa: S608
            "USING (each) WHERE now.began < before.began"
        )
        if found.fetchall() != [(0,)]:
            raise CannotContinue("an event is older than the first known of its Kafka cluster")
        self._run(
            f"INSERT INTO kept.clusters SELECT * FROM ({clusters_sql()}) AS now "  # noqa: S608
            "WHERE each NOT IN (SELECT each FROM kept.clusters)"
        )
