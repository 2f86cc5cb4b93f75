"""Which predictions a batch with an idempotency key stored, so that it can be answered again.

The first prediction of a batch has its key in the unique column too, so that a key belongs to one
request, single or batch. This table outlives it: an erased prediction must not make the key of the
others a new one. Debezium captures the table predictions and no other.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = "batches_by_idempotency_key"


def upgrade() -> None:
    if not context.is_offline_mode() and inspect(op.get_bind()).has_table(TABLE):
        return  # made by a run that died before it could say so
    if op.get_context().dialect.name == "sqlite":
        op.execute(
            f"CREATE TABLE {TABLE} (idempotency_key VARCHAR(64) NOT NULL PRIMARY KEY,"
            " made_at DATETIME NOT NULL, ids JSON NOT NULL)"
        )
    else:
        op.execute(
            f"CREATE TABLE {TABLE} (idempotency_key VARCHAR(64) CHARACTER SET ascii"
            " COLLATE ascii_bin NOT NULL PRIMARY KEY,"
            " made_at DATETIME(6) NOT NULL, ids JSON NOT NULL)"
            " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"
        )


def downgrade() -> None:
    op.execute(f"DROP TABLE IF EXISTS {TABLE}")
