"""Measurements and probabilities as they were computed, microseconds, 64-bit ids, who and which.

``FLOAT`` keeps 24 bits: 0.1 came back as 0.100000001. ``model_version`` names the model that made
a prediction, ``idempotency_key`` the request, so that it can be sent again safely.
"""

from __future__ import annotations

from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MEASUREMENTS = ("age", "avg_glucose_level", "bmi", "probability")
TEXTS = {
    "gender": 10,
    "smoking_status": 20,
    "name": 100,
    "country": 50,
    "province": 50,
    "risk_category": 10,
}


def upgrade() -> None:
    if online_and(widened=True):  # by a run that died before it could say so
        return
    if op.get_context().dialect.name == "sqlite":
        # Its FLOAT is a DOUBLE and its INTEGER has 64 bits already.
        op.execute("ALTER TABLE predictions ADD COLUMN model_version VARCHAR(64)")
        op.execute("ALTER TABLE predictions ADD COLUMN idempotency_key VARCHAR(64)")
        op.execute(
            "CREATE UNIQUE INDEX uq_predictions_idempotency_key ON predictions (idempotency_key)"
        )
        op.execute("CREATE INDEX ix_predictions_timestamp ON predictions (timestamp)")
        return
    # One statement, which InnoDB does wholly or not at all. utf8mb4, because an adopted table may
    # be latin1 or utf8mb3, which have no room for every name.
    op.execute(
        "ALTER TABLE predictions "
        "MODIFY id BIGINT NOT NULL AUTO_INCREMENT, "
        "MODIFY timestamp DATETIME(6) NULL DEFAULT CURRENT_TIMESTAMP(6), "
        + "".join(f"MODIFY {name} DOUBLE NULL, " for name in MEASUREMENTS)
        + "".join(
            f"MODIFY {name} VARCHAR({length}) CHARACTER SET utf8mb4 NULL, "
            for name, length in TEXTS.items()
        )
        + "ADD COLUMN model_version VARCHAR(64) CHARACTER SET utf8mb4 NULL, "
        "ADD COLUMN idempotency_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL, "
        "ADD UNIQUE INDEX uq_predictions_idempotency_key (idempotency_key), "
        "ADD INDEX ix_predictions_timestamp (timestamp), "
        "ENGINE = InnoDB"
    )


def downgrade() -> None:
    if online_and(widened=False):
        return
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP INDEX ix_predictions_timestamp")
        op.execute("DROP INDEX uq_predictions_idempotency_key")
        op.execute("ALTER TABLE predictions DROP COLUMN idempotency_key")
        op.execute("ALTER TABLE predictions DROP COLUMN model_version")
        return
    op.execute(
        "ALTER TABLE predictions "
        "MODIFY id INT NOT NULL AUTO_INCREMENT, "
        "MODIFY timestamp DATETIME NULL DEFAULT CURRENT_TIMESTAMP, "
        + "".join(f"MODIFY {name} FLOAT NULL, " for name in MEASUREMENTS)
        + "DROP INDEX ix_predictions_timestamp, "
        "DROP INDEX uq_predictions_idempotency_key, "
        "DROP COLUMN idempotency_key, "
        "DROP COLUMN model_version"
    )


def online_and(*, widened: bool) -> bool:
    """Return whether the table can be looked at, and has this revision's columns or has not."""
    if context.is_offline_mode():
        return False
    columns = op.get_bind().exec_driver_sql("SELECT * FROM predictions WHERE 1 = 0").keys()
    return ("idempotency_key" in columns) is widened
