"""A run continues from its checkpoint, or reads everything; results come before the checkpoint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from builders.changes import Batches, a_change, silent
from builders.truth import EVENTS, OLD
from fakes.analyses import FakeChangeSource, FakeEngine, FakeResults, Saved
from stroke.application.analyses.ports import CannotContinue
from stroke.application.analyses.queries import analyses, chosen
from stroke.application.analyses.runs import AnalyticsRun, Reached
from stroke.application.analyses.service import AnalyticsService
from stroke.domain.errors import InvalidData, ReplicaUnavailable

NAMES = ["operations", "latest-snapshot"]
WANTED = chosen(NAMES, analyses())
TABLES = [each.table for each in WANTED]
BEGAN = datetime(2026, 1, 2, tzinfo=UTC)


class House:
    """A service over fakes; ``saved`` is what its runs save."""

    def __init__(self, *, has_events: bool = True) -> None:
        self.source = FakeChangeSource(has_events=has_events)
        self.saved = Saved()
        self.results = FakeResults()
        self.progress: list[tuple[str, int, int | None]] = []
        self._ticks = 0

    def run(self, *, with_name: bool = False, keeps: bool = True) -> AnalyticsRun:
        service: AnalyticsService[Batches] = AnalyticsService(
            FakeEngine(self.saved if keeps else None),
            self.source,
            self.results,
            source_name="iceberg",
            engine_name="fake",
            now=self._now,
        )
        return service.run(
            WANTED, with_name=with_name, on_progress=lambda *said: self.progress.append(said)
        )

    def _now(self) -> datetime:
        self._ticks += 1
        return BEGAN + timedelta(seconds=self._ticks)

    def operations(self) -> dict[str, int]:
        return {row["op"]: row["events"] for row in self.results.tables[TABLES[0]]}


@pytest.fixture
def house() -> House:
    return House()


def test_a_first_run_reads_everything_and_records_what_it_did(house: House) -> None:
    house.source.changes = list(EVENTS)

    run = house.run()

    assert (run.events, run.predictions, run.since, run.note) == (15, 6, None, None)
    assert run.point == {"read": 15}
    assert run.reached[0] == Reached(OLD, 0, 111)
    assert run.rows == {"operations": 4, "latest-snapshot": 6}
    assert house.results.runs == [run.as_json()]
    assert (run.began, run.ended) == (BEGAN + timedelta(seconds=1), BEGAN + timedelta(seconds=2))
    assert house.results.runs[0]["seconds"] == 1.0


def test_the_record_keeps_the_keys_that_scripts_read(house: House) -> None:
    keys = house.run().as_json().keys()

    assert list(keys) == [
        *("engine", "source", "began", "ended", "point", "since", "note", "reached"),
        *("events", "predictions", "rows", "skipped", "site", "seconds"),
    ]


def test_runs_that_continue_read_each_change_once(house: House) -> None:
    read = []
    for end in (0, 8, 8, len(EVENTS)):
        house.source.changes = list(EVENTS[:end])
        run = house.run()
        read.append((run.events, run.since))

    assert read == [(0, None), (8, {"read": 0}), (0, {"read": 8}), (7, {"read": 8})]
    assert house.operations() == {"c": 7, "d": 2, "r": 1, "u": 3}
    assert run.predictions == 6


def test_without_a_place_for_checkpoints_every_run_reads_everything(house: House) -> None:
    house.source.changes = list(EVENTS)

    assert [house.run(keeps=False).events for _ in range(2)] == [15, 15]
    assert house.source.reads == [None, None]


def test_with_names_a_run_neither_continues_nor_saves(house: House) -> None:
    house.source.changes = list(EVENTS[:8])
    house.run()
    saved = house.saved.last

    run = house.run(with_name=True)

    assert (run.events, run.since, run.note) == (8, None, None)
    assert house.saved.last is saved


def test_nothing_is_saved_where_nothing_is_new(house: House) -> None:
    house.source.changes = list(EVENTS)
    house.run()
    saved = house.saved.last

    house.run()

    assert house.saved.last is saved


def broken_checkpoint(house: House) -> None:
    house.saved.is_damaged = True


def foreign_position(house: House) -> None:
    assert house.saved.last is not None
    house.saved.last = (house.saved.last[0], {"read": 99})


def older_event(house: House) -> None:
    house.source.changes.append(a_change(1, 1))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (broken_checkpoint, "what the last run kept cannot be read"),
        (foreign_position, "it was of another source"),
        (older_event, "an event is older than the first known of its Kafka cluster"),
    ],
)
def test_where_what_is_new_is_not_known_everything_is_read(
    house: House, change: Any, why: str
) -> None:
    house.source.changes = list(EVENTS)
    house.run()
    change(house)

    run = house.run()

    assert (run.events, run.since) == (len(house.source.changes), None)
    assert run.note == f"everything was read afresh: {why}"
    assert house.run().note is None


def test_a_source_that_goes_away_ends_the_run_and_not_the_checkpoint(house: House) -> None:
    house.source.changes = list(EVENTS[:8])
    house.run()
    house.source.changes = list(EVENTS)
    for fails_at in (None, 0, 3):
        house.source.fails_at, house.source.failing = fails_at, ReplicaUnavailable("S3 went away")
        with pytest.raises(ReplicaUnavailable, match="S3 went away"):
            house.run()
    house.source.failing = None

    assert len(house.results.runs) == 1
    assert house.run().since == {"read": 8}


def test_results_that_cannot_be_written_are_made_up_for_by_the_next_run(house: House) -> None:
    house.source.changes = list(EVENTS[:8])
    house.run()
    house.source.changes = list(EVENTS)
    house.results.failing = InvalidData("the disk is full")
    with pytest.raises(InvalidData):
        house.run()
    house.results.failing = None

    assert house.run().since == {"read": 8}
    assert house.operations() == {"c": 7, "d": 2, "r": 1, "u": 3}


def test_a_source_without_events_skips_what_needs_them() -> None:
    house = House(has_events=False)
    house.source.changes = [a_change(n, 0, "r") for n in range(3)]

    run = house.run()

    assert (run.skipped, run.rows, run.reached) == (["operations"], {"latest-snapshot": 3}, ())
    assert TABLES[0] not in house.results.tables


def test_progress_says_what_is_read_and_what_is_analysed(house: House) -> None:
    house.source.changes = list(EVENTS)

    house.run()

    assert house.progress[:2] == [("reading", 0, None), ("reading", 1, 15)]
    assert house.progress[-3:] == [
        ("reading", 15, 15),
        ("analysing", 0, 2),
        ("analysing", 1, 2),
    ]


def test_a_source_that_cannot_be_used_at_all_ends_the_run(house: House) -> None:
    """Where even reading everything says that it cannot continue, nothing reads for ever."""
    house.source.fails_at = 0
    house.source.changes = list(EVENTS)
    engine = FakeEngine()

    class Strange(FakeChangeSource):
        def read(self, *_: Any, **__: Any) -> Any:
            raise CannotContinue("never")

    service: AnalyticsService[Batches] = AnalyticsService(
        engine, Strange(), house.results, source_name="x", engine_name="fake", now=lambda: BEGAN
    )
    with pytest.raises(CannotContinue):
        service.run(WANTED, with_name=False, on_progress=silent)
