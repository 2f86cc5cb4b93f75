"""An index for each column that a listing may be narrowed by.

Without them, a listing of a rare value reads the whole table, and forty of them hold every
connection. An index of InnoDB, as of SQLite, ends with the id: a page is read from it in order. The
version of the model has a second one with the time, for an old version has no recent rows.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_predictions_risk_category": "risk_category",
    "ix_predictions_country": "country",
    "ix_predictions_province": "province",
    "ix_predictions_model_version": "model_version",
    "ix_predictions_model_version_timestamp": "model_version, timestamp",
}


def upgrade() -> None:
    there = existing()
    missing = {name: columns for name, columns in INDEXES.items() if name not in there}
    if op.get_context().dialect.name == "sqlite":
        for name, columns in missing.items():
            op.execute(f"CREATE INDEX {name} ON predictions ({columns})")
    elif missing:
        op.execute(
            "ALTER TABLE predictions "
            + ", ".join(f"ADD INDEX {name} ({columns})" for name, columns in missing.items())
        )


def downgrade() -> None:
    names = list(INDEXES) if context.is_offline_mode() else sorted(existing() & INDEXES.keys())
    if op.get_context().dialect.name == "sqlite":
        for name in names:
            op.execute(f"DROP INDEX {name}")
    elif names:
        op.execute("ALTER TABLE predictions " + ", ".join(f"DROP INDEX {name}" for name in names))


def existing() -> set[str]:
    """Return the names of the table's indexes: a run that died may have made some of them."""
    if context.is_offline_mode():
        return set()
    return {str(each["name"]) for each in inspect(op.get_bind()).get_indexes("predictions")}
