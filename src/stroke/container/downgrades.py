"""The way back to an older schema, which is in the audit trail, and may take that with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from stroke.adapters.sql import schema
from stroke.config import DatabaseSettings
from stroke.container.audit import with_audit_trail, write_entry
from stroke.container.database import migrating
from stroke.container.engines import existing_database
from stroke.domain.audit import AuditAction, AuditHead, AuditOutcome
from stroke.domain.errors import StrokeError


def drops_entries(settings: DatabaseSettings, revision: str) -> bool:
    """Return whether ``downgrade_schema`` would lose entries of the trail. Raises as it does."""
    return schema.descent(existing_database(settings), revision).drops_entries


def downgrade_schema(
    settings: DatabaseSettings,
    revision: str,
    *,
    drop_trail: bool = False,
    on_drop: Callable[[AuditHead], None] = lambda _: None,
) -> bool:
    """Take the schema back to ``revision``; return whether it moved.

    The trail has an entry before it, and one after it where it still exists. A revision without a
    trail takes one that has entries only with ``drop_trail``; ``on_drop`` gets its end before.

    Raises ``InvalidData`` for an unknown revision and where entries would be lost, and
    ``StoreUnavailable``, also where the first entry cannot be written. Not to be called from a
    running event loop.
    """
    url = existing_database(migrating(settings))
    plan = schema.descent(url, revision)
    if not plan.revisions or not (plan.keeps_trail or plan.drops_entries):
        return schema.downgrade(url, revision)
    # Of a revision that is known by now: what was typed could be anything.
    action, target = AuditAction.SCHEMA_CHANGE, f"downgrade from {plan.revisions[0]} to {revision}"
    write_entry(settings, action, target, AuditOutcome.ASKED)
    try:
        if plan.drops_entries and drop_trail:
            on_drop(with_audit_trail(settings, lambda trail: trail.end()))
        moved = schema.downgrade(url, revision, drop_trail=drop_trail)
    except StrokeError:
        with suppress(StrokeError):  # on MySQL, it may have gone half-way
            write_entry(settings, action, target, AuditOutcome.FAILED)
        raise
    if plan.keeps_trail:
        write_entry(settings, action, target)
    return moved
