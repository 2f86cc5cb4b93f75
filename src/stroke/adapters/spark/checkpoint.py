"""What a run on Spark keeps, so that the next one reads only the changes since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from stroke.application.analyses.ports import CannotContinue, Position, SavedState, StatePointer
from stroke.application.analyses.views import CHECKPOINT_SHAPE


class SparkState:
    """Tables in a new folder below ``address`` for each state, and a ``pointer`` to the last.

    ``address`` is one that Spark's workers know, too.
    """

    def __init__(self, address: str, pointer: StatePointer) -> None:
        self.address: Final = address.rstrip("/")
        self._pointer = pointer
        self._folder = ""
        self.clusters: Mapping[str, int] = {}

    def resume(self) -> Position | None:
        """Return the position that the last run reached; None if there was none.

        Raises ``CannotContinue``.
        """
        found = self._pointer.read(CHECKPOINT_SHAPE)
        if found is None:
            return None
        self._folder, self.clusters = found.folder, found.clusters
        return found.position

    def table(self, session: SparkSession, name: str) -> DataFrame:
        """Return a table of the state that was resumed. Raises ``CannotContinue``."""
        try:
            return session.read.parquet(f"{self.address}/{self._folder}/{name}")
        except AnalysisException as error:  # it is not there, or no Parquet
            raise CannotContinue("what the last run kept cannot be used") from error

    def save(
        self, position: Position, clusters: Mapping[str, int], tables: Mapping[str, DataFrame]
    ) -> None:
        """Keep tables as the state at ``position``."""
        folder = f"state-{uuid4().hex}"
        for name, table in tables.items():
            table.write.parquet(f"{self.address}/{folder}/{name}")
        self._pointer.write(SavedState(folder, clusters, position), CHECKPOINT_SHAPE)
