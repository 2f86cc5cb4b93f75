"""Indexes for every listing: of a caller with a site, of times, and of texts by their bytes.

In MySQL, an index of a text takes what differs in case or accents for the same. A rare spelling of
a frequent country was looked for among all of its rows. The indexes of texts that clients filter
by are of the bytes now. The day finds rows whose ids are not where their times are.

Each of these indexes ends with the id, as all do in InnoDB and SQLite: pages are read in its order.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import text

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BYTES = "({} COLLATE utf8mb4_0900_bin)"
SITE = "ix_predictions_site_"
# Name, and columns in MySQL and in SQLite.
NEW = {
    "ix_predictions_day": ("(CAST(timestamp AS DATE))", "substr(timestamp, 1, 10)"),
    "ix_predictions_country_province": (
        f"{BYTES.format('country')}, {BYTES.format('province')}",
        "country, province",
    ),
    SITE + "risk_category": ("site, risk_category", "site, risk_category"),
    **{
        f"{SITE}{name}": (f"site, {BYTES.format(name)}", f"site, {name}")
        for name in ("country", "province", "model_version")
    },
}
# Those that are made anew in MySQL, as they are to be and as they were.
CHANGED = {
    f"ix_predictions_{name}": (BYTES.format(name), name)
    for name in ("country", "province", "model_version")
}
# The ids between two times are known now: the version needs no index with the time.
GONE = {"ix_predictions_model_version_timestamp": "model_version, timestamp"}


def upgrade() -> None:
    there = existing()
    if op.get_context().dialect.name == "sqlite":
        for name, (_, columns) in NEW.items():
            op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON predictions ({columns})")
        for name in GONE:
            op.execute(f"DROP INDEX IF EXISTS {name}")
        return
    changes = [f"DROP INDEX {name}" for name in GONE if context.is_offline_mode() or name in there]
    changes += [f"ADD INDEX {name} ({new})" for name, (new, _) in NEW.items() if name not in there]
    for name, (new, _) in CHANGED.items():
        if there.get(name, True):  # not of the bytes yet
            changes += [f"DROP INDEX {name}"] if name in there or context.is_offline_mode() else []
            changes.append(f"ADD INDEX {name} ({new})")
    if changes:
        op.execute("ALTER TABLE predictions " + ", ".join(changes))


def downgrade() -> None:
    there = existing()
    offline = context.is_offline_mode()
    if op.get_context().dialect.name == "sqlite":
        for name, columns in GONE.items():
            op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON predictions ({columns})")
        for name in NEW:
            op.execute(f"DROP INDEX IF EXISTS {name}")
        return
    changes = [f"DROP INDEX {name}" for name in NEW if offline or name in there]
    changes += [f"ADD INDEX {name} ({old})" for name, old in GONE.items() if name not in there]
    for name, (_, old) in CHANGED.items():
        if not there.get(name, False):  # of the bytes
            changes += [f"DROP INDEX {name}"] if offline or name in there else []
            changes.append(f"ADD INDEX {name} ({old})")
    if changes:
        op.execute("ALTER TABLE predictions " + ", ".join(changes))


def existing() -> dict[str, bool]:
    """Return the names of the table's indexes, and whether each is of a column as it is.

    A run that died may have made some of them.
    """
    if context.is_offline_mode() or op.get_context().dialect.name == "sqlite":
        return {}
    found = op.get_bind().execute(
        text(
            "SELECT index_name, MIN(expression IS NULL) FROM information_schema.statistics"
            " WHERE table_schema = DATABASE() AND table_name = 'predictions' GROUP BY index_name"
        )
    )
    return {str(name): bool(plain) for name, plain in found}
