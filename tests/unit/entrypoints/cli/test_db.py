"""`stroke db copy` says of each table that it leaves behind why it does."""

from __future__ import annotations

from stroke.adapters.sql.copying import NOT_COPIED
from stroke.entrypoints.cli.commands.db_copy import _LEFT


def test_each_table_that_stays_behind_has_a_reason() -> None:
    assert {table.name for table in NOT_COPIED} == _LEFT.keys() - {"audit"}
