"""The table through which Debezium is asked for an incremental snapshot (`stroke pipeline repair`).

Only MySQL has a binlog for Debezium to read. The database's own set-up may have made the table
already, so that a grant could name it.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name != "mysql":
        return
    if not context.is_offline_mode() and inspect(op.get_bind()).has_table("debezium_signal"):
        return  # IF NOT EXISTS alone would have the driver warn of it
    op.execute(
        "CREATE TABLE IF NOT EXISTS debezium_signal "
        "(id VARCHAR(42) PRIMARY KEY, type VARCHAR(32) NOT NULL, data TEXT NULL)"
        " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"
    )


def downgrade() -> None:
    if op.get_context().dialect.name == "mysql":
        op.execute("DROP TABLE IF EXISTS debezium_signal")
