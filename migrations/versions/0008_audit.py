"""The audit trail: who did what, in a chain of digests, and where the chain ends.

Entries are added and never changed. SQLite refuses anything else by triggers; MySQL too, where
the user may make them (it needs TRIGGER, and with a binary log log_bin_trust_function_creators).
Otherwise the chain still shows what was changed. Debezium captures neither table.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_FIRST_HEAD = (
    "INSERT INTO audit_head (id, number, digest) SELECT 1, 0,"
    " '0000000000000000000000000000000000000000000000000000000000000000'"
    " WHERE NOT EXISTS (SELECT 1 FROM audit_head)"
)
# No right to triggers: 1142 for the table, 1227 and 1419 for want of a global one.
WITHOUT_TRIGGERS = {1142, 1227, 1419}
_COLUMNS = """
    actor VARCHAR(100) NOT NULL,
    site VARCHAR(100),
    action VARCHAR(40) NOT NULL,
    target VARCHAR(255),
    request_id VARCHAR(128),
    outcome VARCHAR(20) NOT NULL,
    times BIGINT NOT NULL,
"""


def upgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    if not _exists("audit"):
        op.execute(_SQLITE if is_sqlite else _MYSQL)
    for index, column in {"ix_audit_at": "at", "ix_audit_target": "target"}.items():
        if is_sqlite:
            op.execute(f"CREATE INDEX IF NOT EXISTS {index} ON audit ({column})")
    if not _exists("audit_head"):
        op.execute(
            "CREATE TABLE audit_head (id SMALLINT NOT NULL PRIMARY KEY, number BIGINT NOT NULL,"
            " digest CHAR(64) NOT NULL)" + ("" if is_sqlite else " ENGINE = InnoDB")
        )
    op.execute(_FIRST_HEAD)
    for event in ("UPDATE", "DELETE"):
        _refuse(event, is_sqlite=is_sqlite)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS audit")
    op.execute("DROP TABLE IF EXISTS audit_head")


_SQLITE = (
    "CREATE TABLE audit (number INTEGER NOT NULL PRIMARY KEY, at DATETIME NOT NULL,"
    f"{_COLUMNS} previous CHAR(64) NOT NULL, digest CHAR(64) NOT NULL)"
)
_MYSQL = (
    "CREATE TABLE audit (number BIGINT NOT NULL PRIMARY KEY, at DATETIME(6) NOT NULL,"
    f"{_COLUMNS} previous CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
    " digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
    " INDEX ix_audit_at (at), INDEX ix_audit_target (target))"
    " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
)


def _refuse(event: str, *, is_sqlite: bool) -> None:
    name = f"audit_refuses_{event.lower()}"
    if is_sqlite:
        op.execute(
            f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {event} ON audit"
            " BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END"
        )
        return
    try:
        op.execute(
            f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {event} ON audit FOR EACH ROW"
            " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit trail is only added to'"
        )
    except DBAPIError as error:
        if not WITHOUT_TRIGGERS.intersection(getattr(error.orig, "args", ())):
            raise


def _exists(table: str) -> bool:
    return not context.is_offline_mode() and inspect(op.get_bind()).has_table(table)
