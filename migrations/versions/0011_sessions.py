"""Sessions of browsers that have signed in: the hash of each id, and whose it is.

They end by themselves within hours, so that a downgrade drops them. Debezium does not capture them.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    if not _exists("browser_sessions"):
        op.execute(_SQLITE if is_sqlite else _MYSQL)
    if is_sqlite:
        op.execute(
            "CREATE INDEX IF NOT EXISTS ix_browser_sessions_ends_at ON browser_sessions (ends_at)"
        )


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS browser_sessions")


_SQLITE = """
CREATE TABLE browser_sessions (
    id_hash CHAR(64) NOT NULL PRIMARY KEY,
    kind VARCHAR(10) NOT NULL,
    caller VARCHAR(100) NOT NULL,
    site VARCHAR(64),
    scopes VARCHAR(255) NOT NULL,
    begun_at DATETIME NOT NULL,
    used_at DATETIME NOT NULL,
    ends_at DATETIME NOT NULL,
    sealed BLOB
)
"""
_MYSQL = """
CREATE TABLE browser_sessions (
    id_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    kind VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    caller VARCHAR(100) NOT NULL,
    site VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    scopes VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    begun_at DATETIME(6) NOT NULL,
    used_at DATETIME(6) NOT NULL,
    ends_at DATETIME(6) NOT NULL,
    sealed BLOB,
    INDEX ix_browser_sessions_ends_at (ends_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
"""


def _exists(table: str) -> bool:
    return not context.is_offline_mode() and inspect(op.get_bind()).has_table(table)
