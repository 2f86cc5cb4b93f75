"""Traces of Java in plain words: those of real connectors, and what is made of them."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from stroke.application.pipeline.failure_causes import (
    STALLED,
    UNKNOWN,
    Concerns,
    advice_for,
    cause_of,
    known_causes,
)

PSQL = "org.postgresql.util.PSQLException"
MSSQL = "com.microsoft.sqlserver.jdbc.SQLServerException"
S3 = "software.amazon.awssdk.services.s3.model.S3Exception"
TRACES = Path(__file__).parent / "traces"
CANARY = "Zoë Canary"


def sink_trace(innermost: str) -> str:
    """Return a trace as Connect gives it of Debezium's JDBC sink."""
    return f"""org.apache.kafka.connect.errors.ConnectException: Exiting WorkerSinkTask due to \
unrecoverable exception.
\tat org.apache.kafka.connect.runtime.WorkerSinkTask.deliverMessages(WorkerSinkTask.java:636)
Caused by: org.apache.kafka.connect.errors.ConnectException: JDBC sink connector failure
\tat io.debezium.connector.jdbc.JdbcSinkConnectorTask.put(JdbcSinkConnectorTask.java:120)
Caused by: java.sql.BatchUpdateException: Batch entry 0 INSERT ... ('{CANARY}') was aborted
{CANARY}
\tat org.postgresql.jdbc.BatchResultHandler.handleError(BatchResultHandler.java:165)
Caused by: {innermost}
\t... 12 more
"""


@pytest.mark.parametrize(
    ("innermost", "concerns", "words"),
    [
        (
            f'{PSQL}: ERROR: invalid byte sequence for encoding "UTF8": 0x00',
            Concerns.RECORD,
            "NUL",
        ),
        (
            f"{PSQL}: ERROR: value too long for type character varying(20)",
            Concerns.RECORD,
            "too long",
        ),
        (f"{PSQL}: ERROR: smallint out of range", Concerns.RECORD, "too large"),
        *(
            (f"{thrown}: {message}", Concerns.RECORD, "another type than its column in the lake")
            for thrown, message in (
                ("java.lang.NumberFormatException", f'For input string: "{CANARY}"'),
                ("java.lang.IllegalArgumentException", "Cannot convert to int: java.lang.String"),
                ("java.lang.IllegalArgumentException", "Cannot convert in to struct: x"),
                (
                    "java.time.format.DateTimeParseException",
                    f"Text '{CANARY}' could not be parsed at index 0",
                ),
            )
        ),
        (
            f'{PSQL}: ERROR: invalid input syntax for type integer: "{CANARY}"',
            Concerns.RECORD,
            "another type",
        ),
        (
            (
                f'{PSQL}: ERROR: null value in column "province" of relation "predictions" '
                "violates not-null constraint"
            ),
            Concerns.RECORD,
            "column province of the copy takes no NULL",
        ),
        (
            f'{PSQL}: ERROR: new row for relation "predictions" violates check constraint "x"',
            Concerns.RECORD,
            "CHECK",
        ),
        (
            f'{PSQL}: ERROR: duplicate key value violates unique constraint "u"',
            Concerns.RECORD,
            "UNIQUE",
        ),
        (
            (
                f'{PSQL}: ERROR: insert or update on table "predictions" violates foreign key '
                'constraint "f"'
            ),
            Concerns.RECORD,
            "FOREIGN KEY",
        ),
        (
            f"{PSQL}: ERROR: cannot execute INSERT in a read-only transaction",
            Concerns.PLACE,
            "read-only",
        ),
        (
            f"{PSQL}: ERROR: permission denied for table predictions",
            Concerns.PLACE,
            "lacks a right",
        ),
        (
            f'{PSQL}: FATAL: password authentication failed for user "stroke"',
            Concerns.PLACE,
            "refuses the account",
        ),
        (
            f"{PSQL}: FATAL: sorry, too many clients already",
            Concerns.PLACE,
            "no more connections",
        ),
        (
            f"{PSQL}: FATAL: the database system is starting up",
            Concerns.PLACE,
            "starting",
        ),
        (
            f"{PSQL}: Connection to sql-sink:5432 refused. Check that the hostname",
            Concerns.PLACE,
            "cannot be reached",
        ),
        (
            f'{PSQL}: ERROR: relation "predictions" does not exist',
            Concerns.PLACE,
            "table is not there",
        ),
        (
            f'{PSQL}: ERROR: column "country" of relation "predictions" does not exist',
            Concerns.PLACE,
            "column country is not in the copy",
        ),
        (
            f'{PSQL}: ERROR: could not extend file "base/1/2": No space left on device',
            Concerns.PLACE,
            "disk is full",
        ),
        (
            f"{PSQL}: ERROR: canceling statement due to lock timeout",
            Concerns.PLACE,
            "time limit",
        ),
        (
            f"{MSSQL}: String or binary data would be truncated in table 'x.dbo.predictions'",
            Concerns.RECORD,
            "too long",
        ),
        (
            f"{MSSQL}: Cannot insert the value NULL into column 'province', table 'x'",
            Concerns.RECORD,
            "column province of the copy takes no NULL",
        ),
        (
            f'{MSSQL}: The INSERT statement conflicted with the CHECK constraint "x"',
            Concerns.RECORD,
            "CHECK",
        ),
        (
            f"{MSSQL}: Violation of UNIQUE KEY constraint 'u'. Cannot insert duplicate key",
            Concerns.RECORD,
            "UNIQUE",
        ),
        (
            f"{MSSQL}: Arithmetic overflow error converting float to data type smallint.",
            Concerns.RECORD,
            "too large",
        ),
        (
            f'{MSSQL}: Failed to update database "x" because the database is read-only.',
            Concerns.PLACE,
            "read-only",
        ),
        (f"{MSSQL}: Login failed for user 'stroke'.", Concerns.PLACE, "refuses the account"),
        (f"{MSSQL}: Invalid object name 'predictions'.", Concerns.PLACE, "table is not there"),
        (
            f"{MSSQL}: The TCP/IP connection to the host db, port 1433 has failed.",
            Concerns.PLACE,
            "cannot be reached",
        ),
        (
            f"{MSSQL}: The transaction log for database 'x' is full due to 'LOG_BACKUP'.",
            Concerns.PLACE,
            "disk is full",
        ),
        (
            f"{S3}: Access Denied (Service: S3, Status Code: 403, Request ID: 1)",
            Concerns.PLACE,
            "S3 refuses",
        ),
        (f"{S3}: oops (Service: S3, Status Code: 503, Request ID: 1)", Concerns.PLACE, "S3 fails"),
        (
            (
                "software.amazon.awssdk.core.exception.SdkClientException: Unable to execute HTTP "
                "request: Connect to s3:5000 failed"
            ),
            Concerns.PLACE,
            "S3 cannot be reached",
        ),
        (
            "org.apache.iceberg.exceptions.NoSuchTableException: Table does not exist: a.b",
            Concerns.PLACE,
            "not in the catalog",
        ),
        (
            "org.apache.kafka.common.errors.RecordTooLargeException: The message is 25 bytes",
            Concerns.RECORD,
            "larger than Kafka takes",
        ),
        (
            (
                "org.apache.kafka.connect.errors.DataException: column gender is longer than 10 "
                "characters"
            ),
            Concerns.RECORD,
            "text in the column gender",
        ),
        (
            (
                "org.apache.kafka.connect.errors.DataException: column age is STRING, but the sink "
                "needs FLOAT64"
            ),
            Concerns.RECORD,
            "column age has a type",
        ),
        ("java.net.ConnectException: Connection refused", Concerns.PLACE, "refuses connections"),
        ("java.net.UnknownHostException: sql-sink", Concerns.PLACE, "name is not known"),
        ("java.lang.OutOfMemoryError: Java heap space", Concerns.PLACE, "memory is full"),
    ],
)
def test_a_failure_is_put_in_words(innermost: str, concerns: Concerns, words: str) -> None:
    found = cause_of(sink_trace(innermost))

    assert found is not None
    assert (found.concerns, words in found.words) == (concerns, True), found.words
    assert CANARY not in found.words + found.advice
    assert cause_of(innermost) == found, "an exception alone tells the same"


@pytest.mark.parametrize(
    ("trace", "concerns", "words"),
    [
        ("nul", Concerns.RECORD, "a text holds a NUL"),
        ("not_a_number", Concerns.RECORD, "a value is of another type"),
        ("unique", Concerns.RECORD, "a UNIQUE constraint"),
        ("trigger", Concerns.UNKNOWN, "does not know"),  # it says what its author wrote
    ],
)
def test_what_real_connectors_left_is_put_in_words(
    trace: str, concerns: Concerns, words: str
) -> None:
    """Traces of the connectors of this project, as Connect's REST API gave them."""
    found = cause_of((TRACES / f"{trace}.txt").read_text())

    assert found is not None
    assert (found.concerns, words in found.words) == (concerns, True), found.words


def test_every_trace_has_words() -> None:
    explained = {"nul", "not_a_number", "unique", "trigger"}
    assert {file.stem for file in TRACES.glob("*.txt")} == explained


def test_what_the_table_does_not_know_is_said_to_be_unknown() -> None:
    assert cause_of(sink_trace(f"{PSQL}: ERROR: {CANARY}")) == UNKNOWN
    assert cause_of("com.example.OopsException: " + CANARY) == UNKNOWN
    assert cause_of("") is cause_of(" \n") is None


def test_what_a_row_holds_is_not_taken_for_a_cause() -> None:
    """The batch's own exception quotes the row; a text may say anything."""
    row = "ERROR: cannot execute INSERT in a read-only transaction"
    trace = sink_trace(f"{PSQL}: ERROR: value too long for type character varying(20)")

    found = cause_of(trace.replace(CANARY, row))

    assert found is not None
    assert "too long" in found.words
    quoted = sink_trace(f"{PSQL}: ERROR: something new about {row}")
    assert cause_of(quoted) == UNKNOWN


@hypothesis.given(text=st.text())
def test_no_text_of_a_message_comes_through(text: str) -> None:
    """Whatever a message says, the words are the table's, with names of columns at most."""
    found = cause_of(sink_trace(f"{PSQL}: ERROR: {text}"))

    assert found is not None
    assert found == UNKNOWN or any(found.advice == known.advice for known in known_causes())


def test_each_cause_has_words_and_a_remedy_of_its_own() -> None:
    causes = known_causes()

    assert len({cause.words for cause in causes}) == len(causes)
    assert all(cause.advice for cause in causes)
    assert all(cause.concerns is not Concerns.UNKNOWN for cause in causes)


def test_the_advice_is_found_by_the_words_of_a_cause() -> None:
    for cause in (*known_causes(), UNKNOWN, STALLED):
        assert advice_for(cause.words) == cause.advice
    assert advice_for("somebody pulled the plug") == ""


def test_the_advice_is_found_whatever_column_the_words_name() -> None:
    found = cause_of(sink_trace(f'{PSQL}: ERROR: null value in column "heart_disease" of relation'))

    assert found is not None
    assert "heart_disease" in found.words
    assert advice_for(found.words) == found.advice
