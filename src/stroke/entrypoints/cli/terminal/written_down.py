"""Commands that read or change copies alone, and the audit trail.

They work while the database is away: that is when somebody looks into the copies, or mends them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stroke.domain.audit import AuditAction
from stroke.entrypoints.cli.terminal.said import say

if TYPE_CHECKING:
    from stroke.config import DatabaseSettings


@contextmanager
def as_export(database: DatabaseSettings, target: str) -> Iterator[None]:
    """Write into the trail that the block takes ``target`` out; say so where that is not possible.

    ``target`` is a kind of data: no value of a patient, and no name of a file.
    """
    with _with_copies(database, AuditAction.DATA_EXPORT, target, "export"):
        yield


@contextmanager
def as_change_of_copy(database: DatabaseSettings, target: str) -> Iterator[None]:
    """Write into the trail that the block changes a copy by ``target``, as ``as_export`` does."""
    with _with_copies(database, AuditAction.COPY_CHANGE, target, "change"):
        yield


@contextmanager
def as_change_of_lake(
    database: DatabaseSettings, target: str, *, dry_run: bool = False
) -> Iterator[None]:
    """Do as ``as_change_of_copy`` for the lake; a dry run changes nothing and leaves no entry."""
    if dry_run:
        yield
        return
    with _with_copies(database, AuditAction.LAKE_CHANGE, target, "change"):
        yield


@contextmanager
def _with_copies(
    database: DatabaseSettings, action: AuditAction, target: str, what: str
) -> Iterator[None]:
    from stroke.container.audit import with_copies

    with with_copies(database, action, target) as written:
        if not written:
            say(f"the database is away: this {what} is not in the audit trail", "warning")
        yield
