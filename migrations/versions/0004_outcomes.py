"""What became of the patients: at most one outcome for each prediction, in a table of its own.

Debezium captures the table predictions and no other, so outcomes stay where they are. An erased
prediction takes its outcome along: on MySQL by the foreign key; SQLite enforces none unless a
connection asks for it, so there the repository deletes both.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = """
    stroke BOOLEAN NOT NULL,
    date DATE NOT NULL,
    source VARCHAR(100) NOT NULL,
    CONSTRAINT fk_outcomes_prediction FOREIGN KEY (prediction_id)
        REFERENCES predictions (id) ON DELETE CASCADE
"""


def upgrade() -> None:
    if not context.is_offline_mode() and inspect(op.get_bind()).has_table("outcomes"):
        return  # made by a run that died before it could say so
    if op.get_context().dialect.name == "sqlite":
        op.execute(
            "CREATE TABLE outcomes "
            f"(prediction_id INTEGER PRIMARY KEY, recorded_at DATETIME NOT NULL, {COLUMNS})"
        )
    else:
        op.execute(
            "CREATE TABLE outcomes "
            f"(prediction_id BIGINT PRIMARY KEY, recorded_at DATETIME(6) NOT NULL, {COLUMNS})"
            " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"
        )


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS outcomes")
