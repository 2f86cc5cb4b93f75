"""API keys: who may call the service, for which site, and what they may do.

Of a key's secret only a hash is kept. Debezium captures the table predictions and no other.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLE = "api_keys"


def upgrade() -> None:
    if not context.is_offline_mode() and inspect(op.get_bind()).has_table(TABLE):
        return  # made by a run that died before it could say so
    if op.get_context().dialect.name == "sqlite":
        op.execute(
            f"CREATE TABLE {TABLE} (id VARCHAR(32) NOT NULL PRIMARY KEY,"
            " name VARCHAR(100) NOT NULL, site VARCHAR(64) NOT NULL, scopes VARCHAR(255) NOT NULL,"
            " secret_hash VARCHAR(64) NOT NULL, created_at DATETIME NOT NULL,"
            " expires_at DATETIME, revoked_at DATETIME, replaced_by VARCHAR(32))"
        )
    else:
        exact = "CHARACTER SET ascii COLLATE ascii_bin"
        op.execute(
            f"CREATE TABLE {TABLE} (id VARCHAR(32) {exact} NOT NULL PRIMARY KEY,"
            f" name VARCHAR(100) NOT NULL, site VARCHAR(64) {exact} NOT NULL,"
            f" scopes VARCHAR(255) {exact} NOT NULL, secret_hash VARCHAR(64) {exact} NOT NULL,"
            " created_at DATETIME(6) NOT NULL, expires_at DATETIME(6), revoked_at DATETIME(6),"
            f" replaced_by VARCHAR(32) {exact})"
            " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"
        )


def downgrade() -> None:
    op.execute(f"DROP TABLE IF EXISTS {TABLE}")
