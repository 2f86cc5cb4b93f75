"""What shadows said of stored predictions, and whose turn a task of all workers is.

A score is a patient's risk: Debezium captures neither table. An erased prediction takes its scores
along: on MySQL by the foreign key; on SQLite the repository deletes both.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_BY_PREDICTION = "ix_shadow_scores_prediction_id"


def upgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    # Either may have been made by a run that died before it could say so.
    if not _exists("shadow_scores"):
        op.execute(_SQLITE if is_sqlite else _MYSQL)
    if is_sqlite:
        op.execute(f"CREATE INDEX IF NOT EXISTS {_BY_PREDICTION} ON shadow_scores (prediction_id)")
    if not _exists("worker_turns"):
        moment = "DATETIME" if is_sqlite else "DATETIME(6)"
        op.execute(
            "CREATE TABLE worker_turns (task VARCHAR(40) NOT NULL PRIMARY KEY,"
            f" taken_at {moment} NOT NULL)"
            + ("" if is_sqlite else " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4")
        )


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS worker_turns")
    op.execute("DROP TABLE IF EXISTS shadow_scores")


def _exists(table: str) -> bool:
    return not context.is_offline_mode() and inspect(op.get_bind()).has_table(table)


_FOREIGN_KEY = """
    CONSTRAINT fk_shadow_scores_prediction FOREIGN KEY (prediction_id)
        REFERENCES predictions (id) ON DELETE CASCADE
"""
_UNIQUE = "CONSTRAINT uq_shadow_scores UNIQUE (model_version, prediction_id)"
_SQLITE = f"""
CREATE TABLE shadow_scores (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    prediction_id INTEGER NOT NULL,
    model_version VARCHAR(64) NOT NULL,
    probability DOUBLE,
    risk_category VARCHAR(10),
    why_not VARCHAR(20),
    scored_at DATETIME NOT NULL,
    {_UNIQUE},
    {_FOREIGN_KEY}
)
"""
# The version's bytes decide, as in the table predictions.
_MYSQL = f"""
CREATE TABLE shadow_scores (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    prediction_id BIGINT NOT NULL,
    model_version VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    probability DOUBLE,
    risk_category VARCHAR(10),
    why_not VARCHAR(20),
    scored_at DATETIME(6) NOT NULL,
    {_UNIQUE},
    INDEX {_BY_PREDICTION} (prediction_id),
    {_FOREIGN_KEY}
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4
"""
