"""Commands that take rows of patients out, and the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stroke.entrypoints.cli.terminal.said import say

if TYPE_CHECKING:
    from stroke.config import DatabaseSettings


@contextmanager
def as_export(database: DatabaseSettings, target: str) -> Iterator[None]:
    """Write into the trail that the block takes ``target`` out; say so where that is not possible.

    ``target`` is a kind of data: no value of a patient, and no name of a file.
    """
    from stroke.container.audit import exported

    with exported(database, target) as written:
        if not written:
            say("the database is away: this export is not in the audit trail", "warning")
        yield
