"""Why the SQL sink fails: at a row that the copy cannot take, or at its database."""

from __future__ import annotations

from typing import Final

from stroke.application.pipeline.failure_causes.entries import (
    COLUMN,
    GOES_ON,
    LET_WRITE,
    PARK,
    PLACE,
    POSTGRES,
    RECORD,
    START,
    Entry,
)

ROWS: Final = (
    Entry(
        RECORD,
        "a text holds a NUL character, which PostgreSQL does not store",
        PARK,
        POSTGRES + r"(invalid byte sequence for encoding \"UTF8\": 0x00|unsupported Unicode escape"
        r"|null character not permitted)",
    ),
    Entry(
        RECORD,
        "a text is not valid in the copy's encoding",
        PARK,
        POSTGRES + r"(invalid byte sequence for encoding|character with byte sequence)",
    ),
    Entry(
        RECORD,
        "a value is too long for its column in the copy",
        f"widen the column in the copy, {PARK}",
        rf"{POSTGRES}value too long for type|String or binary data would be truncated",
    ),
    Entry(
        RECORD,
        "a number is too large for its column in the copy",
        f"widen the column in the copy, {PARK}",
        POSTGRES + r"(\w+ out of range|value \".*\" is out of range|numeric field overflow)"
        r"|Arithmetic overflow error|The supplied value is not a valid instance of data type"
        r"|Numeric value out of range",
    ),
    Entry(
        RECORD,
        "a value is of another type than its column in the copy",
        f"give the column MySQL's type (`stroke pipeline sink-schema`), {PARK}",
        POSTGRES + r"(invalid input syntax for|column \"?\w+\"? is of type|date/time field value)"
        r"|Conversion failed when converting|Error converting data type",
    ),
    Entry(
        RECORD,
        "the column {name} of the copy takes no NULL, and the row has none",
        f"drop NOT NULL in the copy, {PARK}",
        (
            rf"{POSTGRES}null value in column {COLUMN}",
            rf"Cannot insert the value NULL into column {COLUMN}",
        ),
    ),
    Entry(
        RECORD,
        "the row breaks a CHECK constraint of the copy",
        f"drop the constraint in the copy, {PARK}",
        POSTGRES + r"new row for relation \"[\w.]+\" violates check constraint"
        r"|The \w+ statement conflicted with the CHECK constraint",
    ),
    Entry(
        RECORD,
        "the row breaks a UNIQUE constraint of the copy",
        f"drop the constraint or index in the copy, {PARK}",
        POSTGRES + r"duplicate key value violates unique constraint"
        r"|Violation of (PRIMARY|UNIQUE) KEY constraint|Cannot insert duplicate key row",
    ),
    Entry(
        RECORD,
        "the row breaks a FOREIGN KEY constraint of the copy",
        f"drop the constraint in the copy, {PARK}",
        POSTGRES + r"insert or update on table \"[\w.]+\" violates foreign key constraint"
        r"|The \w+ statement conflicted with the (FOREIGN KEY|REFERENCE) constraint",
    ),
    Entry(
        RECORD,
        "a trigger of the copy refuses the row",
        f"look at the triggers of the copy's table, {PARK}",
        r"The transaction ended in the trigger",
    ),
)

DATABASE: Final = (
    Entry(
        PLACE,
        "the SQL sink's database is read-only",
        LET_WRITE,
        POSTGRES + r"cannot execute \w+( \w+)* in a read-only transaction"
        r"|Failed to update database .* because the database is read-only",
    ),
    Entry(
        PLACE,
        "the SQL sink's disk is full",
        f"free space there; {GOES_ON}",
        POSTGRES + r"(could not extend file|could not write to file|.*No space left on device)"
        r"|The transaction log for database .* is full|Could not allocate space for object",
    ),
    Entry(
        PLACE,
        "the SQL sink's database refuses the account or its password",
        "check STROKE_SINK_USER and STROKE_SINK_PASSWORD, or MSSQL_USER and MSSQL_PASSWORD",
        r"FATAL: (password authentication failed|role \"\w+\" (does not exist|is not permitted)"
        r"|no pg_hba\.conf entry|permission denied for database)|Login failed for user"
        r"|Cannot open database",
    ),
    Entry(
        PLACE,
        "the account of the SQL sink lacks a right on the copy's table",
        "grant it SELECT, INSERT, UPDATE and DELETE",
        POSTGRES + r"(permission denied for|must be owner of)"
        r"|The \w+ permission was denied on the object",
    ),
    Entry(
        PLACE,
        "the SQL sink's database takes no more connections",
        f"raise its limit, or end others; {GOES_ON}",
        r"FATAL: (too many connections|sorry, too many clients|remaining connection slots)",
    ),
    Entry(
        PLACE,
        "the SQL sink's database is starting or shutting down",
        f"wait until it is up; {GOES_ON}",
        r"FATAL: (the database system is|terminating connection)"
        r"|ERROR: canceling statement due to user request",
    ),
    Entry(
        PLACE,
        "the SQL sink's database does not exist",
        "create it, or correct its name in the settings",
        r"FATAL: database \"\w+\" does not exist",
    ),
    Entry(
        PLACE,
        "the copy's table is not there",
        "`stroke pipeline sink-schema --apply`, then `stroke pipeline repair --replica sql`",
        rf"{POSTGRES}relation \"[\w.]+\" does not exist|Invalid object name"
        r"|Could not find table|Table .{1,200} (is missing|does not exist)",
    ),
    Entry(
        PLACE,
        "the column {name} is not in the copy's table",
        "add it there with MySQL's type (`stroke pipeline sink-schema`)",
        (
            rf"{POSTGRES}column {COLUMN} (of relation \S+ )?does not exist",
            rf"Invalid column name {COLUMN}",
        ),
    ),
    Entry(
        PLACE,
        "the copy's table cannot be changed as a new column needs",
        "add the column to the copy by hand, with MySQL's type",
        r"Cannot (ALTER|alter) table|Failed to alter table",
    ),
    Entry(
        PLACE,
        "the SQL sink's database does not answer within its time limit",
        f"look for locks and for load there; {GOES_ON}",
        POSTGRES + r"(canceling statement due to (statement|lock) timeout|deadlock detected)"
        r"|The query has timed out|Lock request time out period exceeded"
        r"|Transaction \(Process ID \d+\) was deadlocked|Read timed out",
    ),
    Entry(
        PLACE,
        "the certificate of the SQL sink's database is not trusted",
        "install its authority in Connect, or see MSSQL_TRUST_CERTIFICATE",
        r"PKIX path building failed|.*could not establish a secure connection"
        r"|The driver could not establish a secure",
    ),
    Entry(
        PLACE,
        "the SQL sink's database cannot be reached",
        START,
        r"(Connection to \S+ refused|The connection attempt failed|This connection has been closed"
        r"|An I/O error occurred while sending|The TCP/IP connection to the host)",
        r"org\.postgresql\.util\.PSQLException|com\.microsoft\.sqlserver\.jdbc\.\w+",
    ),
)
