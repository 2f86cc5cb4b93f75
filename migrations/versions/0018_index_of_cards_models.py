"""An index for the models that assessments refer to.

`GET /fhir/Device/{version}` looks for a former model among them. Without an index it read each
assessment that was ever made.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_INDEX = "ix_assessments_model_version"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute(f"CREATE INDEX IF NOT EXISTS {_INDEX} ON assessments (model_version)")
    elif context.is_offline_mode() or not _exists():
        # The column compares bytes, and so does its index: no version is taken for another.
        op.execute(f"ALTER TABLE assessments ADD INDEX {_INDEX} (model_version)")


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute(f"DROP INDEX IF EXISTS {_INDEX}")
    elif context.is_offline_mode() or _exists():
        op.execute(f"ALTER TABLE assessments DROP INDEX {_INDEX}")


def _exists() -> bool:
    """Return whether the index is there: a run that died may have made or removed it."""
    return _INDEX in {each["name"] for each in inspect(op.get_bind()).get_indexes("assessments")}
