"""Tokens of record systems that were used: the digest of each, until the token ends.

They end within an hour, so that a downgrade drops them. Debezium does not capture them.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    if not _exists("used_tokens"):
        op.execute(_SQLITE if is_sqlite else _MYSQL)
    if is_sqlite:
        op.execute("CREATE INDEX IF NOT EXISTS ix_used_tokens_ends_at ON used_tokens (ends_at)")


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS used_tokens")


_SQLITE = """
CREATE TABLE used_tokens (
    digest CHAR(64) NOT NULL PRIMARY KEY,
    ends_at DATETIME NOT NULL
)
"""
_MYSQL = """
CREATE TABLE used_tokens (
    digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    ends_at DATETIME(6) NOT NULL,
    INDEX ix_used_tokens_ends_at (ends_at)
) ENGINE = InnoDB
"""


def _exists(table: str) -> bool:
    return not context.is_offline_mode() and inspect(op.get_bind()).has_table(table)
