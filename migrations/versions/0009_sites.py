"""Whose rows: the site that a prediction was made for, and who asked for it.

Both are NULL in rows that were there before, and in those that an open service stores. An adopted
table may have a column of such a name already: it stays, with what its owner wrote into it.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INDEX = "ix_predictions_site"
COLUMNS = {
    "site": ("VARCHAR(64)", "CHARACTER SET ascii COLLATE ascii_bin"),
    "created_by": ("VARCHAR(128)", "CHARACTER SET utf8mb4"),
}


def upgrade() -> None:
    columns, indexes = existing()
    missing = {name: kind for name, kind in COLUMNS.items() if name not in columns}
    if op.get_context().dialect.name == "sqlite":
        for name, (kind, _) in missing.items():
            op.execute(f"ALTER TABLE predictions ADD COLUMN {name} {kind}")
        if INDEX not in indexes:
            op.execute(f"CREATE INDEX {INDEX} ON predictions (site)")
        return
    changes = [f"ADD COLUMN {name} {kind} {text} NULL" for name, (kind, text) in missing.items()]
    if INDEX not in indexes:
        changes.append(f"ADD INDEX {INDEX} (site)")
    if changes:
        op.execute("ALTER TABLE predictions " + ", ".join(changes))


def downgrade() -> None:
    columns, indexes = existing()
    names = list(COLUMNS) if context.is_offline_mode() else sorted(columns & COLUMNS.keys())
    indexed = context.is_offline_mode() or INDEX in indexes
    if op.get_context().dialect.name == "sqlite":
        if indexed:
            op.execute(f"DROP INDEX {INDEX}")
        for name in names:
            op.execute(f"ALTER TABLE predictions DROP COLUMN {name}")
        return
    changes = [f"DROP INDEX {INDEX}"] if indexed else []
    changes += [f"DROP COLUMN {name}" for name in names]
    if changes:
        op.execute("ALTER TABLE predictions " + ", ".join(changes))


def existing() -> tuple[set[str], set[str]]:
    """Return the names of the table's columns and indexes: a run that died made some of them."""
    if context.is_offline_mode():
        return set(), set()
    # Not the inspector: it stumbles over types that an adopted table of SQLite may have.
    columns = op.get_bind().exec_driver_sql("SELECT * FROM predictions WHERE 1 = 0").keys()
    indexes = inspect(op.get_bind()).get_indexes("predictions")
    return set(columns), {str(each["name"]) for each in indexes}
