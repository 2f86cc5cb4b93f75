"""What a run on Spark keeps, so that the next one reads only the changes since."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Final, Protocol
from uuid import uuid4

from pyspark.sql import DataFrame, SparkSession

from stroke.application.analyses.checkpoints import CannotContinue
from stroke.application.analyses.views import CHANGES

_VERSION: Final = 1
_SHAPE: Final = json.dumps([_VERSION, *CHANGES.items()])


class Pointer(Protocol):
    """Names the folder that holds the last state."""

    @abstractmethod
    def read(self) -> Mapping[str, Any] | None:
        """Return what was written last, None for nothing. Raises ``CannotContinue``."""

    @abstractmethod
    def write(self, content: Mapping[str, Any], folder: str) -> None:
        """Write it at once or not at all, and remove all folders of states but ``folder``."""


class SparkState:
    """Tables in a new folder below ``address`` for each state, and a ``pointer`` to the last.

    ``address`` is one that Spark's workers know, too.
    """

    def __init__(self, address: str, pointer: Pointer) -> None:
        self.address: Final = address.rstrip("/")
        self._pointer = pointer
        self._folder = ""
        self.clusters: Mapping[str, int] = {}

    def resume(self) -> Mapping[str, Any] | None:
        """Return the point that the last run reached; None if there was none.

        Raises ``CannotContinue``.
        """
        found = self._pointer.read()
        if found is None:
            return None
        if found.get("shape") != _SHAPE:
            raise CannotContinue("another version of stroke kept what the last run read")
        self._folder, self.clusters = found["folder"], found["clusters"]
        point: Mapping[str, Any] = found["point"]
        return point

    def table(self, session: SparkSession, name: str) -> DataFrame:
        """Return a table of the state that was resumed."""
        return session.read.parquet(f"{self.address}/{self._folder}/{name}")

    def save(
        self, point: Mapping[str, Any], clusters: Mapping[str, int], tables: Mapping[str, DataFrame]
    ) -> None:
        """Keep tables as the state at ``point``."""
        folder = f"state-{uuid4().hex}"
        for name, table in tables.items():
            table.write.parquet(f"{self.address}/{folder}/{name}")
        content = {"shape": _SHAPE, "point": dict(point), "clusters": dict(clusters)}
        self._pointer.write(content | {"folder": folder}, folder)
