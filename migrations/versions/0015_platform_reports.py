"""What the commands of the pipeline saw last: one row for each kind of report.

The commands write them anew, so that a downgrade drops them. Debezium does not capture them.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if not _exists("platform_reports"):
        is_sqlite = op.get_context().dialect.name == "sqlite"
        op.execute(_SQLITE if is_sqlite else _MYSQL)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS platform_reports")


_SQLITE = """
CREATE TABLE platform_reports (
    kind VARCHAR(20) NOT NULL PRIMARY KEY,
    made_at DATETIME NOT NULL,
    content JSON NOT NULL
)
"""
_MYSQL = """
CREATE TABLE platform_reports (
    kind VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    made_at DATETIME(6) NOT NULL,
    content JSON NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
"""


def _exists(table: str) -> bool:
    return not context.is_offline_mode() and inspect(op.get_bind()).has_table(table)
