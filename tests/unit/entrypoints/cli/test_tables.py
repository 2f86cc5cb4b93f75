"""Names in tables are in one piece, however narrow the terminal is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from stroke.application.pipeline.consistency import DeadLetter, TopicRecord
from stroke.application.pipeline.failure_causes import Concerns, FailureCause
from stroke.application.pipeline.kafka_connect_model import (
    ConnectorState,
    ConnectorStatus,
    TaskStatus,
)
from stroke.entrypoints.cli.commands import connectors, dlq, tail
from stroke.entrypoints.cli.terminal.output import print_table

NAME = "s3-sink-stroke-predictions"
CAUSE = FailureCause("the SQL sink's database is read-only", "let it", Concerns.PLACE)
FAILED = ConnectorStatus(
    NAME,
    "sink",
    ConnectorState.RUNNING,
    "connect:8083",
    (TaskStatus(0, ConnectorState.FAILED, "connect:8083", "ConnectException", CAUSE),),
)
LETTER = DeadLetter(
    7, NAME, "dbserver1.stroke_predictions.predictions", 0, 5120, "TASK_PUT", "PSQLException",
    77, settled=False, cause=CAUSE.words,
)  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_name_of_a_connector_is_not_broken(width: int) -> None:
    written = io.StringIO()
    console = Console(file=written, width=width, force_terminal=True)

    console.print(connectors._table([FAILED], ["mssql-sink-predictions"]))
    console.print(dlq._table([LETTER]))

    assert written.getvalue().count(NAME) == 2
    assert "mssql-sink-predictions" in written.getvalue()


def test_a_pipe_gets_lines_as_long_as_they_need_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(connectors._table([FAILED], []))
    print_table(dlq._table([LETTER]))

    shown = capsys.readouterr().out
    assert f"{CAUSE.words} (ConnectException)" in shown
    assert f"{LETTER.topic}-0@5120" in shown


def test_records_of_a_topic_are_listed_without_what_a_row_holds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = {"op": "u", "before": None, "after": {"id": 77, "name": "Zoë Canary"}}
    tail._print(
        [
            TopicRecord("changes", 0, 5120, 1_767_225_600_123, {"id": 77}, event, 431),
            TopicRecord("changes", 0, 5121, 1_767_225_600_123, {"id": 77}, None, 0),
            TopicRecord("changes", 0, 5123, 1_767_225_600_123, None, "Zoë Canary", 11),
        ]
    )

    shown = capsys.readouterr().out
    assert "0@5120" in shown
    assert "2026-01-01T00:00:00.123000Z" in shown
    assert "tombstone" in shown
    assert "Canary" not in shown


def test_where_there_are_no_records_this_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    tail._print([])

    assert capsys.readouterr().out == "no records\n"
