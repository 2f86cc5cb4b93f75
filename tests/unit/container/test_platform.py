"""What commands found becomes a report of the platform, and is kept where a service finds it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from builders.platform import AT, platform_report
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.reports import SqlReportBoard
from stroke.application.doctor.findings import Finding, State
from stroke.application.pipeline.connector_watch import Watched, WatchEvent, WatchEventKind
from stroke.application.pipeline.consistency import Comparison
from stroke.application.pipeline.failure_causes import Concerns, FailureCause
from stroke.application.pipeline.kafka_connect_model import (
    ConnectorState,
    ConnectorStatus,
    TaskStatus,
)
from stroke.application.platform.reports import LineState, ReportKind, ReportLine
from stroke.config import Settings
from stroke.container.configured import names_pipeline
from stroke.container.platform import (
    connectors_report,
    doctor_report,
    failed_verification,
    keep_report,
    verification_report,
)
from stroke.entrypoints.cli.terminal.reports import ReportKeeper

CAUSE = FailureCause("the password is wrong", "set the right one", Concerns.PLACE)


def status(
    state: ConnectorState, *tasks: ConnectorState, cause: FailureCause | None = None
) -> ConnectorStatus:
    each = tuple(TaskStatus(n, found, "w", cause=cause) for n, found in enumerate(tasks))
    return ConnectorStatus("c", "sink", state, "w", each)


RUNNING, FAILED, PAUSED = ConnectorState.RUNNING, ConnectorState.FAILED, ConnectorState.PAUSED


@pytest.mark.parametrize(
    ("seen", "state", "numbers", "remedy"),
    [
        (
            Watched("c", status(RUNNING, RUNNING), 7),
            LineState.OK,
            {"tasks": 1, "running": 1, "lag": 7},
            "",
        ),
        (
            Watched("c", status(RUNNING, RUNNING, FAILED, cause=CAUSE)),
            LineState.FAILED,
            {"tasks": 2, "running": 1},
            "set the right one",
        ),
        (
            Watched("c", status(RUNNING, RUNNING), 7, stalled=True),
            LineState.FAILED,
            {"tasks": 1, "running": 1, "lag": 7},
            "stroke connectors status",
        ),
        (
            Watched("c", status(PAUSED, PAUSED)),
            LineState.PAUSED,
            {"tasks": 1, "running": 0},
            "stroke connectors resume c",
        ),
        (
            Watched("c", status(RUNNING)),
            LineState.FAILED,
            {"tasks": 0, "running": 0},
            "stroke connectors status",
        ),
        (Watched("c", None), LineState.FAILED, {}, "stroke connectors apply"),
    ],
)
def test_a_connector_is_shown_with_its_tasks_its_lag_and_what_to_do(
    seen: Watched, state: LineState, numbers: dict[str, int], remedy: str
) -> None:
    [line] = connectors_report([seen], [], AT).lines

    assert (line.name, line.state, line.numbers, line.remedy) == ("c", state, numbers, remedy)


def test_what_cannot_be_seen_is_a_line_of_its_own() -> None:
    blind = WatchEvent(WatchEventKind.BLIND, "", "Kafka Connect does not answer")
    unread = WatchEvent(WatchEventKind.BLIND, "sink", "no offsets")
    healed = WatchEvent(WatchEventKind.RECOVERED, "c", "it runs")

    report = connectors_report(
        [Watched("c", status(RUNNING, RUNNING))], [blind, unread, healed], AT
    )

    assert [(each.name, each.state, each.detail) for each in report.lines] == [
        ("c", LineState.OK, "it runs"),
        ("Kafka Connect", LineState.FAILED, "Kafka Connect does not answer"),
        ("sink", LineState.FAILED, "no offsets"),
    ]


def test_a_comparison_is_shown_by_its_counts() -> None:
    equal, wrong = Comparison("sql", rows=9), Comparison("s3", 9, missing=[4, 5], duplicates=1)

    report = verification_report([equal, wrong], AT)

    assert report.kind is ReportKind.VERIFICATION
    assert [
        (each.state, each.numbers["missing"], each.numbers["duplicates"]) for each in report.lines
    ] == [
        (LineState.OK, 0, 0),
        (LineState.FAILED, 2, 1),
    ]
    assert not report.is_well
    assert not failed_verification("the copy does not catch up", AT, ["sql"]).is_well


def test_each_finding_of_the_doctor_keeps_its_state_and_its_remedy() -> None:
    findings = [Finding(state.value, state, "seen", "mend it") for state in State]

    lines = doctor_report(findings, AT).lines

    assert [(each.name, each.state.value, each.remedy) for each in lines] == [
        (state.value, state.value, "mend it") for state in State
    ]


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, False),
        ({"STROKE_CONNECT_URL": "http://connect:8083"}, True),
        ({"STROKE_ERASURE_WORKER": "pipeline"}, True),
    ],
)
def test_a_service_knows_from_its_settings_whether_there_is_a_pipeline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str], named: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("STROKE_CONNECT_URL", "STROKE_ERASURE_WORKER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert names_pipeline(Settings.load()) is named


# A busy machine may let a statement wait for longer than a service would.
LONG = 300.0


class Database:
    """A file of SQLite that a service has made, and the clock of what keeps reports in it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "stroke.db"
        self.settings = Settings.load().database.model_copy(
            update={
                "url": None,
                "mysql_host": None,
                "sqlite_path": self.file,
                "connect_timeout_seconds": LONG,
                "statement_timeout_seconds": LONG,
            }
        )
        self.seconds = 0.0
        self.keeper = ReportKeeper(clock=lambda: self.seconds)

    def keep(self, state: LineState, *, after: float = 0, **numbers: int) -> None:
        self.seconds += after
        report = platform_report(lines=(ReportLine("c", state, numbers),))
        asyncio.run(self.keeper.keep(self.settings, report))

    @property
    def lines(self) -> Sequence[ReportLine]:
        async def read() -> Sequence[ReportLine]:
            engine = create_engine(self.settings.sqlalchemy_url, pool_size=1, connect_timeout=LONG)
            last = await SqlReportBoard(engine, statement_timeout=LONG).last()
            await engine.dispose()
            return last[ReportKind.CONNECTORS].lines

        return asyncio.run(read())


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path)


def test_a_report_is_kept_in_the_database_of_the_service(database: Database) -> None:
    schema.upgrade(database.settings.sqlalchemy_url)

    asyncio.run(keep_report(database.settings, platform_report()))

    assert database.lines == platform_report().lines


def test_no_database_is_made_for_a_report(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.keep(LineState.OK)

    assert not database.file.exists()
    assert capsys.readouterr().err == ""


def test_what_cannot_be_kept_is_one_warning_and_no_failure(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.file.touch()  # without a table

    for _ in range(3):
        database.keep(LineState.OK, after=60)

    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith("warning: the page does not show this: ")


def test_what_says_the_same_is_written_twice_a_minute_and_a_change_at_once(
    database: Database,
) -> None:
    schema.upgrade(database.settings.sqlalchemy_url)
    database.keep(LineState.OK, lag=1)
    database.keep(LineState.OK, lag=2, after=29)
    assert database.lines[0].numbers == {"lag": 1}

    database.keep(LineState.OK, lag=3, after=1)
    assert database.lines[0].numbers == {"lag": 3}

    database.keep(LineState.FAILED, lag=4, after=0.5)
    assert database.lines[0].numbers == {"lag": 4}
