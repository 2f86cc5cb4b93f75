"""The columns of ``changes`` as Arrow has them, and what sources find beside events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from stroke.application.analyses.views import CHANGES

_OF_SQL: Final = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string()}


def changes_schema(*, with_name: bool = False) -> pa.Schema:
    """Return the schema of a batch of ``changes``."""
    columns = {**CHANGES, **({"name": "VARCHAR"} if with_name else {})}
    return pa.schema([(name, _OF_SQL[kind]) for name, kind in columns.items()])


@dataclass(slots=True)
class Counts:
    """What was found beside events."""

    events: int = 0
    tombstones: int = 0
    strange_records: int = 0  # no change of a row
    strange_values: int = 0  # not what their column holds: they count as NULL

    def add(self, other: Counts) -> None:
        self.events += other.events
        self.tombstones += other.tombstones
        self.strange_records += other.strange_records
        self.strange_values += other.strange_values
