"""Which models are served: a row for each change, which is never changed or removed.

An empty table means the model of the setting. Debezium does not capture it.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if not context.is_offline_mode() and inspect(op.get_bind()).has_table("deployments"):
        return  # made by a run that died before it could say so
    is_sqlite = op.get_context().dialect.name == "sqlite"
    op.execute(_SQLITE if is_sqlite else _MYSQL)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS deployments")


_COLUMNS = """
    actor VARCHAR(128) NOT NULL,
    action VARCHAR(20) NOT NULL,
    model VARCHAR(64) NOT NULL,
    reason VARCHAR(500),
    roles JSON NOT NULL
"""
_SQLITE = f"""
CREATE TABLE deployments (
    number BIGINT NOT NULL PRIMARY KEY,
    at DATETIME NOT NULL,
    {_COLUMNS}
)
"""
_MYSQL = f"""
CREATE TABLE deployments (
    number BIGINT NOT NULL PRIMARY KEY,
    at DATETIME(6) NOT NULL,
    {_COLUMNS}
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4
"""
