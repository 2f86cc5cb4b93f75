"""Why a connector failed, in plain words: the one table of causes, by the exceptions of a trace.

A trace quotes rows of patients. So nothing of a message is passed on but names of columns, tables
and constraints, and these only from where the database's own sentence has them. Sources of the
sentences: PostgreSQL 17 and its JDBC driver 42.7, SQL Server's sys.messages and its JDBC driver
13, Debezium 3.6, Kafka 4.3, the AWS SDK 2, Iceberg 1.12.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Concerns(StrEnum):
    """What is at fault: this decides whether a record may be parked for it."""

    RECORD = "record"
    PLACE = "place"
    """What the connector reads from or writes to: other records would fail as well."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FailureCause:
    """A cause: ``words`` say what is wrong, ``advice`` what to do. Neither quotes a value."""

    words: str
    advice: str
    concerns: Concerns


@dataclass(frozen=True, slots=True)
class _Entry:
    """A cause of the table. ``thrown`` is a pattern of the exception's class, any class if empty.

    ``message`` is what the message begins with: one pattern of several.
    """

    concerns: Concerns
    words: str
    advice: str
    message: str | tuple[str, ...]
    thrown: str = ""


# A name as a database writes it in its own sentence. More than 64 characters are no name.
_COLUMN: Final = r"[\"'](?P<name>\w{1,64})[\"']"
_PARK: Final = "correct the row in MySQL, or park the record with `stroke pipeline dlq park`"
_GOES_ON: Final = "the watcher restarts the connector, or `stroke connectors restart` at once"
_LET_WRITE: Final = f"let it take writes again; {_GOES_ON}"
_START: Final = f"start it, and check its address; {_GOES_ON}"
_PG: Final = "ERROR: "
_R, _P = Concerns.RECORD, Concerns.PLACE

_TABLE_OF_CAUSES: Final = (
    # --- a record that the SQL copy cannot take ------------------------------------------------
    _Entry(
        _R,
        "a text holds a NUL character, which PostgreSQL does not store",
        _PARK,
        _PG + r"(invalid byte sequence for encoding \"UTF8\": 0x00|unsupported Unicode escape"
        r"|null character not permitted)",
    ),
    _Entry(
        _R,
        "a text is not valid in the copy's encoding",
        _PARK,
        _PG + r"(invalid byte sequence for encoding|character with byte sequence)",
    ),
    _Entry(
        _R,
        "a value is too long for its column in the copy",
        f"widen the column in the copy, {_PARK}",
        rf"{_PG}value too long for type|String or binary data would be truncated",
    ),
    _Entry(
        _R,
        "a number is too large for its column in the copy",
        f"widen the column in the copy, {_PARK}",
        _PG + r"(\w+ out of range|value \".*\" is out of range|numeric field overflow)"
        r"|Arithmetic overflow error|The supplied value is not a valid instance of data type"
        r"|Numeric value out of range",
    ),
    _Entry(
        _R,
        "a value is of another type than its column in the copy",
        f"give the column MySQL's type (`stroke pipeline sink-schema`), {_PARK}",
        _PG + r"(invalid input syntax for|column \"?\w+\"? is of type|date/time field value)"
        r"|Conversion failed when converting|Error converting data type",
    ),
    _Entry(
        _R,
        "the column {name} of the copy takes no NULL, and the row has none",
        f"drop NOT NULL in the copy, {_PARK}",
        (
            rf"{_PG}null value in column {_COLUMN}",
            rf"Cannot insert the value NULL into column {_COLUMN}",
        ),
    ),
    _Entry(
        _R,
        "the row breaks a CHECK constraint of the copy",
        f"drop the constraint in the copy, {_PARK}",
        _PG + r"new row for relation \"[\w.]+\" violates check constraint"
        r"|The \w+ statement conflicted with the CHECK constraint",
    ),
    _Entry(
        _R,
        "the row breaks a UNIQUE constraint of the copy",
        f"drop the constraint or index in the copy, {_PARK}",
        _PG + r"duplicate key value violates unique constraint"
        r"|Violation of (PRIMARY|UNIQUE) KEY constraint|Cannot insert duplicate key row",
    ),
    _Entry(
        _R,
        "the row breaks a FOREIGN KEY constraint of the copy",
        f"drop the constraint in the copy, {_PARK}",
        _PG + r"insert or update on table \"[\w.]+\" violates foreign key constraint"
        r"|The \w+ statement conflicted with the (FOREIGN KEY|REFERENCE) constraint",
    ),
    _Entry(
        _R,
        "a trigger of the copy refuses the row",
        f"look at the triggers of the copy's table, {_PARK}",
        r"The transaction ended in the trigger",
    ),
    # --- a record that the lake cannot take -----------------------------------------------------
    _Entry(
        _R,
        "a value is of another type than its column in the lake",
        f"give the column of the lake's table MySQL's type, {_PARK}",
        ("For input string", r"Cannot convert (in )?to \w+: ", "Text .* could not be parsed"),
        r"java\.lang\.(NumberFormat|IllegalArgument)Exception"
        r"|java\.time\.format\.DateTimeParseException",
    ),
    # --- a record that Kafka, or the sink's own rules, cannot take ------------------------------
    _Entry(
        _R,
        "a change event is larger than Kafka takes",
        "run `stroke connectors apply`, which raises the limits to "
        "STROKE_KAFKA_MAX_RECORD_BYTES; docs/operations.md#a-row-is-too-large",
        "",
        r"org\.apache\.kafka\.common\.errors\.RecordTooLargeException",
    ),
    _Entry(
        _R,
        "the column {name} has a type that the copies do not take",
        "change the column back in MySQL, then run `stroke pipeline dlq replay`",
        r"column (?P<name>\w{1,64}) is (\w+, was |\w+, but the sink needs )\w+$",
        r"org\.apache\.kafka\.connect\.errors\.DataException",
    ),
    _Entry(
        _R,
        "the text in the column {name} is longer than the copies take",
        "shorten it in MySQL, then run `stroke pipeline dlq replay`",
        r"column (?P<name>\w{1,64}) is longer than \d+ characters$",
        r"org\.apache\.kafka\.connect\.errors\.DataException",
    ),
    # --- the SQL copy ---------------------------------------------------------------------------
    _Entry(
        _P,
        "the SQL sink's database is read-only",
        _LET_WRITE,
        _PG + r"cannot execute \w+( \w+)* in a read-only transaction"
        r"|Failed to update database .* because the database is read-only",
    ),
    _Entry(
        _P,
        "the SQL sink's disk is full",
        f"free space there; {_GOES_ON}",
        _PG + r"(could not extend file|could not write to file|.*No space left on device)"
        r"|The transaction log for database .* is full|Could not allocate space for object",
    ),
    _Entry(
        _P,
        "the SQL sink's database refuses the account or its password",
        "check STROKE_SINK_USER and STROKE_SINK_PASSWORD, or MSSQL_USER and MSSQL_PASSWORD",
        r"FATAL: (password authentication failed|role \"\w+\" (does not exist|is not permitted)"
        r"|no pg_hba\.conf entry|permission denied for database)|Login failed for user"
        r"|Cannot open database",
    ),
    _Entry(
        _P,
        "the account of the SQL sink lacks a right on the copy's table",
        "grant it SELECT, INSERT, UPDATE and DELETE",
        _PG + r"(permission denied for|must be owner of)"
        r"|The \w+ permission was denied on the object",
    ),
    _Entry(
        _P,
        "the SQL sink's database takes no more connections",
        f"raise its limit, or end others; {_GOES_ON}",
        r"FATAL: (too many connections|sorry, too many clients|remaining connection slots)",
    ),
    _Entry(
        _P,
        "the SQL sink's database is starting or shutting down",
        f"wait until it is up; {_GOES_ON}",
        r"FATAL: (the database system is|terminating connection)"
        r"|ERROR: canceling statement due to user request",
    ),
    _Entry(
        _P,
        "the SQL sink's database does not exist",
        "create it, or correct its name in the settings",
        r"FATAL: database \"\w+\" does not exist",
    ),
    _Entry(
        _P,
        "the copy's table is not there",
        "`stroke pipeline sink-schema --apply`, then `stroke pipeline repair --replica sql`",
        rf"{_PG}relation \"[\w.]+\" does not exist|Invalid object name"
        r"|Could not find table|Table .{1,200} (is missing|does not exist)",
    ),
    _Entry(
        _P,
        "the column {name} is not in the copy's table",
        "add it there with MySQL's type (`stroke pipeline sink-schema`)",
        (
            rf"{_PG}column {_COLUMN} (of relation \S+ )?does not exist",
            rf"Invalid column name {_COLUMN}",
        ),
    ),
    _Entry(
        _P,
        "the copy's table cannot be changed as a new column needs",
        "add the column to the copy by hand, with MySQL's type",
        r"Cannot (ALTER|alter) table|Failed to alter table",
    ),
    _Entry(
        _P,
        "the SQL sink's database does not answer within its time limit",
        f"look for locks and for load there; {_GOES_ON}",
        _PG + r"(canceling statement due to (statement|lock) timeout|deadlock detected)"
        r"|The query has timed out|Lock request time out period exceeded"
        r"|Transaction \(Process ID \d+\) was deadlocked|Read timed out",
    ),
    _Entry(
        _P,
        "the certificate of the SQL sink's database is not trusted",
        "install its authority in Connect, or see MSSQL_TRUST_CERTIFICATE",
        r"PKIX path building failed|.*could not establish a secure connection"
        r"|The driver could not establish a secure",
    ),
    _Entry(
        _P,
        "the SQL sink's database cannot be reached",
        _START,
        r"(Connection to \S+ refused|The connection attempt failed|This connection has been closed"
        r"|An I/O error occurred while sending|The TCP/IP connection to the host)",
        r"org\.postgresql\.util\.PSQLException|com\.microsoft\.sqlserver\.jdbc\.\w+",
    ),
    # --- the lake -------------------------------------------------------------------------------
    _Entry(
        _P,
        "the bucket of the lake is not there",
        "create it, or correct S3_BUCKET",
        r".*(specified bucket does not exist|NoSuchBucket)",
        r"software\.amazon\.awssdk\.services\.s3\.model\.\w+",
    ),
    _Entry(
        _P,
        "S3 refuses the credentials, or the account lacks a right on the bucket",
        "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role, and the bucket's policy",
        r".*(Status Code: 40[13]\b|Access Denied|InvalidAccessKeyId|SignatureDoesNotMatch"
        r"|ExpiredToken)|Unable to load credentials",
        r"software\.amazon\.awssdk\.\S+",
    ),
    _Entry(
        _P,
        "S3 fails, or asks to slow down",
        f"wait, or look at the provider's state; {_GOES_ON}",
        r".*Status Code: (5\d\d|429)\b",
        r"software\.amazon\.awssdk\.\S+",
    ),
    _Entry(
        _P,
        "S3 cannot be reached",
        f"check STROKE_LAKE_ENDPOINT and the network; {_GOES_ON}",
        r"(Unable to execute HTTP request|Received an UnknownHostException)",
        r"software\.amazon\.awssdk\.core\.exception\.\w+",
    ),
    _Entry(
        _P,
        "the table of the lake is not in the catalog",
        "`stroke connectors apply` makes it; if it was lost, see docs/operations.md#rebuild-a-sink",
        r"(Table|Namespace) does not exist",
        r"org\.apache\.iceberg\.exceptions\.NoSuch\w+",
    ),
    _Entry(
        _P,
        "the catalog of the lake refuses the account",
        "check STROKE_LAKE_JDBC_USER and STROKE_LAKE_JDBC_PASSWORD, or the catalog's credentials",
        "",
        r"org\.apache\.iceberg\.exceptions\.(NotAuthorized|Forbidden)Exception",
    ),
    _Entry(
        _P,
        "another writer keeps changing the table of the lake",
        f"end the other writers, such as a compaction; {_GOES_ON}",
        "",
        r"org\.apache\.iceberg\.exceptions\.CommitFailedException",
    ),
    # --- MySQL, as source or as the lake's catalog ------------------------------------------------
    _Entry(
        _P,
        "MySQL refuses the account or its password",
        "check STROKE_CDC_USER and STROKE_CDC_PASSWORD, and STROKE_LAKE_JDBC_USER and "
        "STROKE_LAKE_JDBC_PASSWORD for the lake's catalog",
        r"(Failed to authenticate to the MySQL database|Access denied for user"
        r"|Your password has expired|.*Account is locked)",
    ),
    _Entry(
        _P,
        "MySQL's account lacks a right that Debezium needs",
        "grant SELECT, RELOAD, REPLICATION SLAVE and REPLICATION CLIENT (deploy/mysql/init)",
        r"(Access denied; you need|.*need \(at least one of\) the .* privilege|\w+ command denied)",
    ),
    _Entry(
        _P,
        "another reader of MySQL's binlog has the same server id",
        "give each an id of its own: MYSQL_SERVER_ID",
        r"A (slave|replica) with the same server_(uu)?id",
    ),
    _Entry(
        _P,
        "MySQL no longer has the binlog that the source has not read",
        "docs/operations.md#recover-from-a-purged-binlog",
        r"(Could not find first log file name in binary log index|.*binlog .*no longer available"
        r"|Cannot replicate because the (source|master) purged)",
    ),
    _Entry(
        _P,
        "MySQL writes no binlog as Debezium needs it",
        "set log_bin, binlog_format=ROW and binlog_row_image=FULL on MySQL",
        r"The MySQL server is not configured to use a (ROW|FULL)",
    ),
    _Entry(
        _P,
        "the source's memory of MySQL's tables on Kafka is lost",
        "docs/operations.md#disaster-recovery",
        r"The (db|schema) history (topic )?(or its content )?is (fully or partially )?missing",
    ),
    _Entry(
        _P,
        "MySQL cannot be reached",
        _START,
        r"(Communications link failure|Could not create connection to database server"
        r"|Unable to connect|Failed to connect to MySQL)",
    ),
    # --- Kafka, Connect, and what is below all of them --------------------------------------------
    _Entry(
        _P,
        "Kafka refuses the account",
        "check the account's rights on the topics",
        "",
        r"org\.apache\.kafka\.common\.errors\.\w*(Authorization|Authentication)Exception",
    ),
    _Entry(
        _P,
        "Kafka does not answer in time",
        "docs/operations.md#kafka-does-not-answer",
        "",
        r"org\.apache\.kafka\.common\.errors\.(Timeout|NotEnoughReplicas\w*|Disconnect|"
        r"BrokerNotAvailable|UnknownTopicOrPartition)Exception",
    ),
    _Entry(
        _P,
        "another task of the same connector has taken over",
        "nothing, if it happens once; otherwise end the second Connect cluster",
        "",
        r"org\.apache\.kafka\.common\.errors\.(ProducerFenced|InvalidProducerEpoch)Exception",
    ),
    _Entry(
        _P,
        "Connect's memory is full",
        "raise STROKE_CONNECT_HEAP; docs/operations.md#kafka-connect-does-not-answer",
        "",
        r"java\.lang\.OutOfMemoryError",
    ),
    _Entry(
        _P,
        "a setting of the connector is wrong, or names what Connect does not have",
        "`stroke connectors apply --dry-run` names it",
        "",
        r"org\.apache\.kafka\.common\.config\.ConfigException",
    ),
    _Entry(
        _P,
        "a class is missing in Connect",
        "use the image that deploy/images/kafka builds, of the same version",
        "",
        r"java\.lang\.(NoClassDefFoundError|ClassNotFoundException|NoSuchMethodError)",
    ),
    _Entry(
        _P,
        "a host's name is not known where Connect runs",
        "check the addresses in the settings, and the network's name service",
        "",
        r"java\.net\.UnknownHostException",
    ),
    _Entry(
        _P,
        "an address to which the connector writes refuses connections, or does not answer",
        f"start what is there, and check the address; {_GOES_ON}",
        r"(Connection refused|connect timed out|Connection timed out|No route to host"
        r"|Network is unreachable|Connection reset)",
        r"java\.net\.\w+",
    ),
)
# The first line and each cause begin with the class; what follows it is the message's first line.
_LINE: Final = re.compile(
    r"^(?:Caused by: )?((?:[a-z_]\w*\.)+[A-Z][\w$]*)(?:: ?(.*))?$", re.MULTILINE
)
_LONGEST: Final = 2000


def cause_of(trace: str) -> FailureCause | None:
    """Return the cause that a Java trace, or one exception of it, tells; None for no trace.

    The innermost exception that the table knows says why: what is around it repeats it, and may
    quote a row. Where the table knows none, the cause is said to be unknown.
    """
    if not trace.strip():
        return None
    for thrown, message in reversed(list(_exceptions(trace))):
        for entry in _TABLE_OF_CAUSES:
            if found := _matched(entry, thrown, message):
                return found
    return UNKNOWN


UNKNOWN: Final = FailureCause(
    "stroke does not know this cause",
    "look at Connect's log (`deploy/stack.sh logs connect`), which has the exception's message",
    Concerns.UNKNOWN,
)


def known_causes() -> list[FailureCause]:
    """Return the causes of the table; ``?`` stands for the name of a column."""
    return [
        FailureCause(entry.words.format(name="?"), entry.advice, entry.concerns)
        for entry in _TABLE_OF_CAUSES
    ]


def _exceptions(trace: str) -> Iterator[tuple[str, str]]:
    """Give the class and the message's first line of each exception, the outermost first."""
    lines = trace.splitlines()
    for number, line in enumerate(lines):
        if number and not line.startswith("Caused by: "):
            continue
        if found := _LINE.match(line[:_LONGEST]):
            yield found.group(1), found.group(2) or ""


def _matched(entry: _Entry, thrown: str, message: str) -> FailureCause | None:
    if entry.thrown and not re.fullmatch(entry.thrown, thrown):
        return None
    messages = (entry.message,) if isinstance(entry.message, str) else entry.message
    for alternative in messages:
        if found := re.match(alternative, message):
            names = {"name": found.groupdict().get("name") or "?"}
            return FailureCause(entry.words.format(**names), entry.advice, entry.concerns)
    return None
