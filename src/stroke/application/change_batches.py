"""The Arrow shape of ``changes``: what sources give and engines take."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from stroke.domain.change_views import CHANGES

_OF_SQL: Final = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string()}


def changes_schema(*, with_name: bool = False) -> pa.Schema:
    """Return the schema of a batch of ``changes``."""
    columns = {**CHANGES, **({"name": "VARCHAR"} if with_name else {})}
    return pa.schema([(name, _OF_SQL[kind]) for name, kind in columns.items()])
