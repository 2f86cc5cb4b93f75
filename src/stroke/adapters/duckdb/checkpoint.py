"""What an engine loaded, as a file of DuckDB's that the next run goes on from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import duckdb

from stroke.application.analyses.ports import CannotContinue, Position
from stroke.application.analyses.views import (
    CHECKPOINT_SHAPE,
    OLDER_THAN_ITS_CLUSTER,
    changed_ids_sql,
    changed_words_sql,
    clusters_sql,
    new_events_sql,
)

SAVED: Final = "saved"
"""The name that the file's tables have in queries: ``saved.words`` ..."""

# clusters: when the first event of each Kafka cluster was read
# words: the last change of each id, deletions among them
# all_events: every event once
TABLES: Final = ("all_events", "clusters", "words")
_HEAD: Final = "head"
_NEW_EVENTS: Final = new_events_sql(saved="saved.all_events")
_CHANGED_IDS: Final = changed_ids_sql()
_NEW_WORDS: Final = changed_words_sql(saved="saved.words", clusters="saved.clusters")


class CheckpointFile:
    """The file, attached to ``database`` while it is open; ``folder`` is where one is made anew."""

    def __init__(self, database: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._run = database.execute
        self._folder = folder
        self._path: Path | None = None

    def open(self, path: Path) -> Position:
        """Return the position that a file was made at. Raises ``CannotContinue``."""
        try:
            self._attach(path)
            found = self._run(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY ALL",
                [SAVED],
            )
            # A view could read what is no part of the file.
            if [name for (name,) in found.fetchall()] != sorted((*TABLES, _HEAD)):
                raise CannotContinue("what the last run kept is something else")
            [(shape, point)] = self._run("SELECT shape, point FROM saved.head").fetchall()
            if shape != CHECKPOINT_SHAPE:
                raise CannotContinue("another version of stroke kept what the last run read")
            known: Any = json.loads(point)
        except (duckdb.Error, ValueError, TypeError, RecursionError) as error:
            raise CannotContinue("what the last run kept cannot be read") from error
        if not isinstance(known, dict):
            raise CannotContinue("what the last run kept cannot be read")
        return known

    def extend(self) -> None:
        """Take the table ``changes`` in. Raises ``CannotContinue``."""
        self._keep_order()
        self._run(f"CREATE OR REPLACE TABLE new_events AS {_NEW_EVENTS}")
        self._run(f"CREATE OR REPLACE TABLE changed_ids AS {_CHANGED_IDS}")
        self._run(f"CREATE OR REPLACE TABLE new_words AS {_NEW_WORDS}")
        self._run(
            "DELETE FROM saved.words WHERE prediction_id IN (SELECT prediction_id FROM changed_ids)"
        )
        self._run("INSERT INTO saved.words BY NAME SELECT * FROM new_words")
        self._run("INSERT INTO saved.all_events BY NAME SELECT * FROM new_events")

    def written(self, position: Position) -> Path:
        """Return the file, closed, as of ``position``: that which is open, or else a new one."""
        if self._path is None:
            self._attach(self._folder / "checkpoint.duckdb")
            self._run("CREATE TABLE saved.head (shape VARCHAR, point VARCHAR)")
            for table in TABLES:
                self._run(f"CREATE TABLE saved.{table} AS SELECT * FROM memory.{table}")  # noqa: S608
        self._run("DELETE FROM saved.head")
        self._run(
            "INSERT INTO saved.head VALUES (?, ?)", [CHECKPOINT_SHAPE, json.dumps(dict(position))]
        )
        return self.close()

    def close(self) -> Path:
        """Let go of the file, if one is open, and return where it is."""
        path = self._path or self._folder
        if self._path is not None:
            self._run("DETACH saved")
            self._path = None
        return path

    def _attach(self, path: Path) -> None:
        quoted = str(path).replace("'", "''")
        self._run(f"ATTACH '{quoted}' AS saved")
        self._path = path

    def _keep_order(self) -> None:
        """Add the clusters that are new; no event may come before the first of a known one."""
        found = self._run(
            f"SELECT COUNT(*) FROM ({clusters_sql()}) AS now JOIN saved.clusters AS before "  # noqa: S608
            "USING (each) WHERE now.began < before.began"
        )
        if found.fetchall() != [(0,)]:
            raise CannotContinue(OLDER_THAN_ITS_CLUSTER)
        self._run(
            f"INSERT INTO saved.clusters SELECT * FROM ({clusters_sql()}) AS now "  # noqa: S608
            "WHERE each NOT IN (SELECT each FROM saved.clusters)"
        )
