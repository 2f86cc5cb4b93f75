"""Erasures that callers asked for, until workers have carried them out.

Ids alone name nobody. Debezium captures the table predictions and no other.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = "erasure_jobs"
_COLUMNS = """
    site VARCHAR(64),
    actor VARCHAR(128) NOT NULL,
    request_id VARCHAR(128),
    ids JSON NOT NULL,
    unknown_ids JSON NOT NULL,
    attempts SMALLINT NOT NULL,
    state VARCHAR(10) NOT NULL,
    worker VARCHAR(64),
    result JSON,
    trouble VARCHAR(500),
"""


def upgrade() -> None:
    if not context.is_offline_mode() and inspect(op.get_bind()).has_table(TABLE):
        return  # made by a run that died before it could say so
    if op.get_context().dialect.name == "sqlite":
        op.execute(
            f"CREATE TABLE {TABLE} (id VARCHAR(32) NOT NULL PRIMARY KEY,"
            f" idempotency_key VARCHAR(64) UNIQUE, {_COLUMNS} asked_at DATETIME NOT NULL,"
            " started_at DATETIME, ended_at DATETIME, waits_from DATETIME NOT NULL)"
        )
    else:
        op.execute(
            f"CREATE TABLE {TABLE} (id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
            " PRIMARY KEY, idempotency_key CHAR(64) CHARACTER SET ascii COLLATE ascii_bin UNIQUE,"
            f" {_COLUMNS} asked_at DATETIME(6) NOT NULL, started_at DATETIME(6),"
            " ended_at DATETIME(6), waits_from DATETIME(6) NOT NULL)"
            " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"
        )


def downgrade() -> None:
    op.execute(f"DROP TABLE IF EXISTS {TABLE}")
