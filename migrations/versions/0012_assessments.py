"""Assessments of charts, and what clinicians did with their cards.

A subject's id identifies a patient: Debezium captures neither table (docs/decisions/0093).
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ASCII = " CHARACTER SET ascii COLLATE ascii_bin"
_EXACT = " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
INDEXES = {
    "ix_assessments_prediction_id": "prediction_id",
    "ix_assessments_subject": "subject",
}


def upgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    ascii_text, exact = ("", "") if is_sqlite else (_ASCII, _EXACT)
    moment = "DATETIME" if is_sqlite else "DATETIME(6)"
    indexes = ", ".join(f"INDEX {name} ({column})" for name, column in INDEXES.items())
    if not _exists("assessments"):
        op.execute(
            f"CREATE TABLE assessments (id CHAR(36){ascii_text} NOT NULL PRIMARY KEY,"
            f" prediction_id BIGINT, subject VARCHAR(128){exact}, server VARCHAR(255){exact},"
            f" hook_instance VARCHAR(64){exact}, basis JSON, notes JSON, shown BOOLEAN NOT NULL,"
            f" model_version VARCHAR(64){exact} NOT NULL, site VARCHAR(64){ascii_text},"
            f" made_at {moment} NOT NULL, erased_at {moment}"
            + (")" if is_sqlite else f", {indexes}) ENGINE = InnoDB")
        )
    if is_sqlite:
        for name, column in INDEXES.items():
            op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON assessments ({column})")
    if not _exists("feedback"):
        op.execute(
            f"CREATE TABLE feedback (assessment_id CHAR(36){ascii_text} NOT NULL PRIMARY KEY,"
            f" verdict VARCHAR(20){ascii_text} NOT NULL, reason VARCHAR(64){ascii_text},"
            f" comment TEXT{exact}, given_at {moment} NOT NULL)"
            + ("" if is_sqlite else " ENGINE = InnoDB")
        )


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS feedback")
    op.execute("DROP TABLE IF EXISTS assessments")


def _exists(table: str) -> bool:
    return not context.is_offline_mode() and inspect(op.get_bind()).has_table(table)
