"""What each account of MySQL needs, as GRANT statements, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from sqlalchemy import Table

from stroke.adapters.sql import tables
from stroke.adapters.sql.versions import VERSION_TABLE

Account = Literal["service", "migrations", "debezium"]

_ROWS: Final = "SELECT, INSERT, UPDATE, DELETE"
# What is less than all that one may do with rows.
_LESS: Final[Mapping[str, str]] = {
    tables.audit.name: "SELECT, INSERT",
    tables.audit_head.name: "SELECT, UPDATE",
    tables.api_keys.name: "SELECT, INSERT, UPDATE",  # keys are revoked, and never removed
}
_SIGNALS: Final = "debezium_signal"
_MIGRATES: Final = f"{_ROWS}, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER"


def grants(account: Account, user: str, database: str, *, host: str = "%") -> list[str]:
    """Return the statements that give ``user`` at ``host`` the rights of an account.

    Those of the service name its tables, so the schema has to be there. Raises ``ValueError`` for a
    name that cannot be quoted.
    """
    whom = f"{_text(user)}@{_text(host)}"
    everything = f"{_name(database, pattern=True)}.*"

    def on(table: str, rights: str) -> str:
        return f"GRANT {rights} ON {_name(database)}.{_name(table)} TO {whom}"

    if account == "migrations":
        # So it gives the service what a new table asks for.
        return [f"GRANT {_MIGRATES} ON {everything} TO {whom} WITH GRANT OPTION"]
    if account == "debezium":
        return [
            f"GRANT REPLICATION SLAVE, REPLICATION CLIENT, RELOAD, SHOW DATABASES ON *.* TO {whom}",
            f"GRANT SELECT, LOCK TABLES ON {everything} TO {whom}",
            on(_SIGNALS, "SELECT, INSERT, DELETE"),
        ]
    return [
        *(on(name, _LESS.get(name, _ROWS)) for name in sorted(_tables())),
        on(VERSION_TABLE, "SELECT"),
        # `stroke pipeline verify` marks its position with rows of it.
        on(_SIGNALS, "SELECT, INSERT, DELETE"),
    ]


def _tables() -> set[str]:
    return {each.name for each in vars(tables).values() if isinstance(each, Table)}


def _name(name: str, *, pattern: bool = False) -> str:
    if not name or "\0" in name:
        raise ValueError("this is no name of a database")
    quoted = name.replace("`", "``")
    # In the name of a database that stands before ".*", these two stand for any character.
    escaped = quoted.replace("_", r"\_").replace("%", r"\%") if pattern else quoted
    return f"`{escaped}`"


def _text(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError("this is no name of an account")
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
