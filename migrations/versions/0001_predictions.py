"""The table predictions, as deployments before Alembic had it.

A table that is there already is adopted with its rows.
"""

from __future__ import annotations

import warnings

from alembic import context, op
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import SAWarning

from stroke.domain.errors import InvalidData

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# BOOLEAN is MySQL's name for TINYINT(1); written out, it warns of display widths.
COLUMNS = """
    timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
    gender VARCHAR(10),
    age FLOAT,
    hypertension BOOLEAN,
    heart_disease BOOLEAN,
    avg_glucose_level FLOAT,
    bmi FLOAT,
    smoking_status VARCHAR(20),
    name VARCHAR(100),
    country VARCHAR(50),
    province VARCHAR(50),
    probability FLOAT,
    risk_category VARCHAR(10),
    contributing_factors JSON,
    prediction_data JSON
"""
NAMES = ("id", *(line.split()[0] for line in COLUMNS.strip().splitlines()))


def upgrade() -> None:
    if not context.is_offline_mode() and inspect(op.get_bind()).has_table("predictions"):
        adopt()
    elif op.get_context().dialect.name == "sqlite":
        # AUTOINCREMENT: the id of an erased prediction is never given again.
        op.execute(f"CREATE TABLE predictions (id INTEGER PRIMARY KEY AUTOINCREMENT, {COLUMNS})")
    else:
        op.execute(
            f"CREATE TABLE predictions (id INT AUTO_INCREMENT PRIMARY KEY, {COLUMNS})"
            " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"
        )


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS predictions")


def adopt() -> None:
    """Check that the existing table can be ours; the next revisions widen it."""
    connection = op.get_bind()
    columns = connection.exec_driver_sql("SELECT * FROM predictions WHERE 1 = 0").keys()
    missing = [name for name in NAMES if name not in columns]
    if missing:
        raise InvalidData(
            f"the existing table predictions lacks {', '.join(missing)}: add the missing "
            "columns, or rename the table and run `stroke db upgrade` again"
        )
    if op.get_context().dialect.name == "sqlite":
        adopt_sqlite_ids(connection)
    else:
        adopt_mysql_ids(connection)


def adopt_mysql_ids(connection: Connection) -> None:
    generated = connection.exec_driver_sql(
        "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()"
        " AND table_name = 'predictions' AND column_name = 'id'"
        " AND column_key = 'PRI' AND LOCATE('auto_increment', extra)"
    )
    if not generated.scalar_one():
        raise InvalidData("the existing table predictions needs id INT AUTO_INCREMENT PRIMARY KEY")


def adopt_sqlite_ids(connection: Connection) -> None:
    generated = connection.exec_driver_sql(
        "SELECT COUNT(*) FROM pragma_table_info('predictions')"
        " WHERE name = 'id' AND pk = 1 AND upper(type) = 'INTEGER'"
    )
    if not generated.scalar_one():
        raise InvalidData("the existing table predictions needs id INTEGER PRIMARY KEY")
    created = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'predictions'"
    )
    if "AUTOINCREMENT" in str(created.scalar_one()).upper():
        return
    with (
        warnings.catch_warnings(action="ignore", category=SAWarning),  # of TINYINT(1)
        op.batch_alter_table(
            "predictions", recreate="always", table_kwargs={"sqlite_autoincrement": True}
        ),
    ):
        pass  # the table is built anew, and that is all there is to change
