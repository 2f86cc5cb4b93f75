"""Behaviour that every implementation of the ports of the analyses shares (see ``contracts``)."""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa
import pytest

from builders.changes import a_change, silent
from builders.truth import EVENTS, NEW, OLD, Change, latest_of
from builders.truth_as_avro import NEWER, envelope, schema_of
from stroke.application.analyses.changes import Counts, changes_schema
from stroke.application.analyses.ports import (
    AnalyticsEngine,
    CannotContinue,
    ChangeHistory,
    ChangeSource,
    CheckpointStore,
    EnvelopeFormat,
    Envelopes,
    Loaded,
    Position,
    ResultStore,
    SavedState,
    SourceRead,
    StatePointer,
)
from stroke.application.analyses.queries import Analysis, analyses
from stroke.application.analyses.runs import AnalyticsRun, Reached
from stroke.application.analyses.views import CHANGES, MISSING
from stroke.domain.errors import (
    BrokerUnavailable,
    InvalidData,
    ReplicaUnavailable,
    StoreUnavailable,
    StrokeError,
)

Rows = TypeVar("Rows")
UNAVAILABLE = (BrokerUnavailable, ReplicaUnavailable, StoreUnavailable)
ONE_OF_EACH = tuple(sorted(latest_of(EVENTS).items()))
"""The predictions that are left, by their id."""


class ChangeSourceContract(Generic[Rows]):
    """Provide ``source``: it has the events of ``builders.truth`` (or the rows that are left).

    ``gone`` is a source whose place is away, ``rows_of`` takes what a source gives apart. What can
    continue also has ``add``, which adds changes to a source without events.
    """

    has_events = True

    def rows_of(self, read: SourceRead[Rows]) -> list[dict[str, Any]]:
        """Return all rows: what an engine in this process is given, unless this is overridden."""
        batches: Any = read.rows
        return [row for batch in batches for row in batch.to_pylist()]

    def test_each_change_is_given_with_the_columns_of_changes(
        self, source: ChangeSource[Rows]
    ) -> None:
        read = source.read(with_name=False)
        rows = self.rows_of(read)

        assert read.has_events == self.has_events
        assert read.total in (None, len(rows))
        assert {tuple(row) for row in rows} == {tuple(CHANGES)}
        if self.has_events:
            expected = Counter((each["op"], each["prediction_id"]) for each in EVENTS)
            assert Counter((row["op"], row["prediction_id"]) for row in rows) == expected
        else:
            assert sorted(row["prediction_id"] for row in rows) == [n for n, _ in ONE_OF_EACH]

    def test_a_row_has_the_measurements_that_were_stored(self, source: ChangeSource[Rows]) -> None:
        rows = self.rows_of(source.read(with_name=False))

        columns = ("timestamp_us", "gender", "age", "hypertension", "bmi", "probability")
        last = {
            row["prediction_id"]: tuple(row[name] for name in columns)
            for row in sorted(rows, key=lambda row: (row["ts_us"], row["place"]))
        }
        for number, row in ONE_OF_EACH:
            assert last[number] == tuple(row[name] for name in columns)

    def test_names_are_there_only_if_they_are_asked_for(self, source: ChangeSource[Rows]) -> None:
        named = self.rows_of(source.read(with_name=True))

        assert {tuple(row) for row in named} == {(*CHANGES, "name")}
        assert "Zyxwvut Patient" in {row["name"] for row in named}
        assert "name" not in self.rows_of(source.read(with_name=False))[0]

    def test_the_same_changes_have_the_same_position_as_json_takes_it(
        self, source: ChangeSource[Rows]
    ) -> None:
        positions = []
        for _ in range(2):
            read = source.read(with_name=False)
            self.rows_of(read)
            positions.append(read.position())

        assert positions[0] == positions[1]
        assert json.loads(json.dumps(positions[0])) == positions[0]

    def test_what_came_after_a_foreign_position_is_not_known(
        self, source: ChangeSource[Rows]
    ) -> None:
        read = source.read(with_name=False)
        self.rows_of(read)
        known = read.position()
        foreign: list[Position] = [{}, {"batch": 3}, {"table": "other", "snapshot_id": None}]
        strange: Sequence[Any] = ("x", [], {}, -1, 0.5, True)
        for name in known:
            foreign += [{**known, name: value} for value in strange]
            foreign.append({key: value for key, value in known.items() if key != name})

        for each in foreign:
            with pytest.raises(CannotContinue):
                self.rows_of(source.read(each, with_name=False))

    def test_a_source_that_is_away_is_named_by_an_error_of_the_field(
        self, gone: ChangeSource[Rows]
    ) -> None:
        with pytest.raises(UNAVAILABLE) as caught:
            self.rows_of(gone.read(with_name=False))
        assert "Zyxwvut" not in str(caught.value)


class ContinuedSourceContract(ChangeSourceContract[Rows]):
    """For sources that know what came after a position; see ``ChangeSourceContract``."""

    def test_what_came_since_is_given_alone(
        self, empty: ChangeSource[Rows], add: Callable[[Sequence[Change]], None]
    ) -> None:
        since: Position | None = None
        given = []
        for some in ((), EVENTS[:8], (), EVENTS[8:]):
            add(some)
            read = empty.read(since, with_name=False)
            given.append(Counter(row["prediction_id"] for row in self.rows_of(read)))
            since = read.position()

        expected = (
            Counter(each["prediction_id"] for each in some) for some in (EVENTS[:8], EVENTS[8:])
        )
        assert given == [Counter(), next(expected), Counter(), next(expected)]


class ChangeHistoryContract:
    """Provide ``history`` of an empty log, and ``grow``, which adds a snapshot to it."""

    def test_an_empty_log_has_a_position_without_a_snapshot(self, history: ChangeHistory) -> None:
        assert history.now()["snapshot_id"] is None
        assert history.now() == history.now()

    def test_what_was_added_follows_every_earlier_position(
        self, history: ChangeHistory, grow: Callable[[], None]
    ) -> None:
        positions = [history.now()]
        for _ in range(2):
            grow()
            positions.append(history.now())

        assert positions[0] != positions[1] != positions[2]
        for position in positions:
            history.check_follows(position, positions[-1])
        assert json.loads(json.dumps(positions)) == positions

    def test_nothing_follows_a_foreign_position(
        self, history: ChangeHistory, grow: Callable[[], None]
    ) -> None:
        grow()
        now = history.now()
        foreign: list[Position] = [{}, {**now, "table": "other"}, {"table": now["table"]}]
        strange: Sequence[Any] = ("1", [], 0.5, -1)
        foreign += [{**now, "snapshot_id": each} for each in strange]

        for each in foreign:
            with pytest.raises(CannotContinue):
                history.check_follows(each, now)


class AnalyticsEngineContract(ABC, Generic[Rows]):
    """Provide ``engines``, which makes engines with one place for their checkpoints.

    ``reading`` makes of changes what a source gives, ``damage`` damages the checkpoint.
    """

    @abstractmethod
    def reading(self, changes: Sequence[Change], *, with_name: bool = False) -> SourceRead[Rows]:
        """Return ``changes`` as a source of this engine gives them."""

    @pytest.fixture
    def engine(
        self, engines: Callable[[], AnalyticsEngine[Rows]]
    ) -> Iterator[AnalyticsEngine[Rows]]:
        engine = engines()
        yield engine
        engine.close()

    def load(
        self, engine: AnalyticsEngine[Rows], changes: Sequence[Change], *, with_name: bool = False
    ) -> Loaded:
        read = self.reading(changes, with_name=with_name)
        return engine.load(read, with_name=with_name, on_progress=silent)

    def extend(self, engine: AnalyticsEngine[Rows], changes: Sequence[Change]) -> Loaded:
        return engine.extend(self.reading(changes), on_progress=silent)

    def test_what_is_left_of_all_changes_is_what_was_said_last(
        self, engine: AnalyticsEngine[Rows]
    ) -> None:
        shuffled = random.Random(1).sample(EVENTS, len(EVENTS))  # noqa: S311

        loaded = self.load(engine, shuffled)

        assert loaded == Loaded(15, 6, [Reached(OLD, 0, 111), Reached(NEW, 0, 0)])
        assert found(engine, "latest-snapshot", "id", "probability") == [
            (number, row["probability"]) for number, row in ONE_OF_EACH
        ]
        expected = [("c", 7, 7), ("d", 2, 2), ("r", 1, 1), ("u", 3, 2)]
        assert found(engine, "operations", "op", "events", "predictions") == expected

    def test_a_second_load_replaces_the_first(self, engine: AnalyticsEngine[Rows]) -> None:
        self.load(engine, EVENTS)

        assert self.load(engine, [a_change(9, 1)]) == Loaded(1, 1, [Reached(OLD, 0, 1)])
        assert found(engine, "latest-snapshot", "id") == [(9,)]
        assert self.load(engine, []) == Loaded(0, 0, [])
        assert found(engine, "latest-snapshot", "id") == []

    def test_a_text_that_is_the_label_of_missing_values_is_in_their_group(
        self, engine: AnalyticsEngine[Rows]
    ) -> None:
        texts = [None, MISSING, "High", None, MISSING]
        named = ["gender", "smoking_status", "country", "province"]
        named += ["risk_category", "model_version"]
        changes = [
            a_change(number, number, probability=0.25, **dict.fromkeys(named, text))
            for number, text in enumerate(texts)
        ]

        self.load(engine, changes)

        for name, column in {
            "risk-distribution": "risk_category",
            "risk-by-gender": "gender",
            "risk-by-smoking-status": "smoking_status",
            "risk-by-country": "country",
            "risk-by-province": "province",
            "model-versions": "model_version",
        }.items():
            rows = found(engine, name, column, "predictions", "mean_probability")
            assert sorted(rows) == [(MISSING, 4, 0.25), ("High", 1, 0.25)], name

    def test_progress_says_how_many_changes_were_read(self, engine: AnalyticsEngine[Rows]) -> None:
        said = list[tuple[str, int, int | None]]()

        def progress(what: str, done: int, total: int | None) -> None:
            said.append((what, done, total))

        read = self.reading(EVENTS)
        engine.load(read, with_name=False, on_progress=progress)

        assert said[-1] == ("reading", len(EVENTS), read.total)

    def test_rows_without_events_reach_no_partition(self, engine: AnalyticsEngine[Rows]) -> None:
        read = self.reading([a_change(n, 0, "r") for n in range(3)])
        read = SourceRead(read.rows, read.position, read.total, has_events=False)

        assert engine.load(read, with_name=False, on_progress=silent) == Loaded(3, 3, ())

    def test_without_a_checkpoint_there_is_nothing_to_resume(
        self, engine: AnalyticsEngine[Rows]
    ) -> None:
        assert engine.resume() is None

    @pytest.mark.parametrize("split", [0, 8, len(EVENTS)])
    def test_a_run_that_continues_gives_what_one_run_gives(
        self, engines: Callable[[], AnalyticsEngine[Rows]], split: int
    ) -> None:
        first, second, third = engines(), engines(), engines()
        self.load(first, EVENTS[:split])
        first.save({"at": 1})
        first.close()

        assert second.resume() == {"at": 1}
        assert second.resume() == {"at": 1}
        loaded = self.extend(second, EVENTS[split:])
        assert loaded == Loaded(len(EVENTS) - split, 6, [Reached(OLD, 0, 111), Reached(NEW, 0, 0)])
        assert found(second, "latest-snapshot", "id") == [(n,) for n, _ in ONE_OF_EACH]
        second.save({"at": [2]})
        second.close()

        assert third.resume() == {"at": [2]}
        assert self.extend(third, []).predictions == 6
        expected = [("c", 7, 7), ("d", 2, 2), ("r", 1, 1), ("u", 3, 2)]
        assert found(third, "operations", "op", "events", "predictions") == expected
        third.close()

    def test_an_event_older_than_its_cluster_s_first_cannot_be_placed(
        self, engines: Callable[[], AnalyticsEngine[Rows]]
    ) -> None:
        first, second = engines(), engines()
        self.load(first, [a_change(1, 5), a_change(2, 5, cluster=NEW)])
        first.save({"at": 1})
        first.close()

        second.resume()
        with pytest.raises(CannotContinue, match="older than the first"):
            self.extend(second, [a_change(1, 4)])
        assert self.load(second, [a_change(1, 4)]).predictions == 1
        second.close()

    def test_names_are_in_no_checkpoint(self, engines: Callable[[], AnalyticsEngine[Rows]]) -> None:
        first, second = engines(), engines()
        self.load(first, EVENTS, with_name=True)
        first.save({"at": 1})
        first.close()

        assert second.resume() is None
        second.close()

    def test_a_damaged_checkpoint_is_not_continued(
        self, engines: Callable[[], AnalyticsEngine[Rows]], damage: Callable[[], None]
    ) -> None:
        first, second = engines(), engines()
        self.load(first, EVENTS)
        first.save({"at": 1})
        first.close()
        damage()

        with pytest.raises(CannotContinue):  # noqa: PT012 -- opened or not, it is of no use
            second.resume()
            self.extend(second, [])
        assert self.load(second, EVENTS).predictions == 6
        second.save({"at": 2})
        second.close()
        third = engines()
        assert third.resume() == {"at": 2}
        third.close()

    def test_an_engine_can_be_closed_twice(self, engine: AnalyticsEngine[Rows]) -> None:
        self.load(engine, EVENTS)

        engine.close()
        engine.close()


class EngineInThisProcessContract(AnalyticsEngineContract[Iterator[pa.RecordBatch]]):
    """For engines that read the source in this process; see ``AnalyticsEngineContract``."""

    @pytest.mark.parametrize(
        "kind",
        [
            *UNAVAILABLE,
            InvalidData,
            CannotContinue,
            OSError,
            KeyboardInterrupt,
            SystemExit,
        ],
    )
    def test_what_ends_the_source_ends_the_reading_as_it_is(
        self,
        engines: Callable[[], AnalyticsEngine[Iterator[pa.RecordBatch]]],
        kind: type[BaseException],
    ) -> None:
        error = kind("it went away")

        def failing(changes: Sequence[Change]) -> SourceRead[Iterator[pa.RecordBatch]]:
            def rows() -> Iterator[pa.RecordBatch]:
                yield from self.reading(changes).rows
                raise error

            return SourceRead(rows(), dict)

        first, second = engines(), engines()
        for changes in ((), EVENTS[:8]):
            with pytest.raises(kind) as caught:
                first.load(failing(changes), with_name=False, on_progress=silent)
            assert caught.value is error
        self.load(first, EVENTS[:8])
        first.save({"at": 1})
        first.close()

        second.resume()
        with pytest.raises(kind) as caught:
            second.extend(failing(EVENTS[8:]), on_progress=silent)
        assert caught.value is error
        assert self.load(second, EVENTS).predictions == 6
        second.close()


def found(engine: AnalyticsEngine[Rows], name: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of an analysis's rows."""
    [analysis] = [each for each in analyses(minimum=1) if each.name == name]
    rows = engine.query(analysis).to_pylist()
    return [tuple(row[column] for column in columns) for row in rows]


class ReadResults(Protocol):
    """Reads what a store holds: the rows of an analysis, None for none."""

    def __call__(self, analysis: Analysis) -> list[dict[str, Any]] | None: ...


class ResultStoreContract:
    """Provide ``store``, ``read_results`` and ``read_runs``."""

    days = Analysis("contract-days", "Days", "", "")

    def test_rows_come_back_as_they_were_written(
        self, store: ResultStore, read_results: ReadResults
    ) -> None:
        assert read_results(self.days) is None

        store.write(self.days, DAYS)

        assert read_results(self.days) == DAYS.to_pylist()

    def test_rows_replace_those_of_the_run_before(
        self, store: ResultStore, read_results: ReadResults
    ) -> None:
        store.write(self.days, DAYS)
        for rows in (DAYS.slice(1, 1), DAYS.slice(0, 0), DAYS.select(["predictions"])):
            store.write(self.days, rows)
            assert read_results(self.days) == rows.to_pylist()

    def test_analyses_have_tables_of_their_own(
        self, store: ResultStore, read_results: ReadResults
    ) -> None:
        other = Analysis("contract-others", "Others", "", "")
        store.write(self.days, DAYS)
        store.write(other, DAYS.slice(0, 1))

        assert read_results(self.days) == DAYS.to_pylist()
        assert read_results(other) == DAYS.slice(0, 1).to_pylist()

    def test_the_record_of_the_last_run_is_kept(
        self, store: ResultStore, read_runs: Callable[[], list[dict[str, Any]]]
    ) -> None:
        for number in range(2):
            store.record(a_run(number))

        assert read_runs()[-1] == json.loads(json.dumps(a_run(1).as_json()))


class PlacedResultsContract(ResultStoreContract):
    """For stores outside of this process; provide ``blocked`` as well: one that takes nothing."""

    def test_a_place_that_takes_nothing_is_an_error_of_the_field(
        self, blocked: ResultStore
    ) -> None:
        with pytest.raises((InvalidData, ReplicaUnavailable)):
            blocked.write(self.days, DAYS)
        with pytest.raises((InvalidData, ReplicaUnavailable)):
            blocked.record(a_run(1))


DAYS = pa.table(
    {
        "day": pa.array([date(1, 1, 1), None, date(9999, 12, 31)], pa.date32()),
        "country": ["Ünïcödé 山田 😀 O'Brien % \\ ", "", None],
        "predictions": [1, 2**62, None],
        "mean_probability": [0.1 + 0.2, -1e-300, None],
    }
)


def a_run(number: int) -> AnalyticsRun:
    began = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(hours=number)
    return AnalyticsRun(
        "duckdb",
        "iceberg",
        began=began,
        ended=began + timedelta(seconds=1),
        point={"table": "changes", "snapshot_id": 2**62},
        since=None,
        note="everything was read afresh: 'quoted'",
        reached=[Reached(OLD, 0, 111)],
        events=15,
        predictions=6 + number,
        rows={"operations": 4},
        skipped=["trend-per-day"],
    )


class CheckpointStoreContract:
    """Provide ``store``, ``spoil``, which makes the checkpoint unreadable, and ``blocked``."""

    def test_at_first_there_is_no_checkpoint(self, store: CheckpointStore, tmp_path: Path) -> None:
        assert store.load(tmp_path) is None

    def test_the_last_checkpoint_comes_back_as_a_copy(
        self, store: CheckpointStore, tmp_path: Path
    ) -> None:
        folder = tmp_path / "scratch"
        folder.mkdir()
        for content in (b"first", b"\0" * 100_000, b""):
            (made := tmp_path / "made").write_bytes(content)
            store.save(made)
            made.unlink()
            copy = store.load(folder)
            assert copy is not None
            assert copy.parent == folder
            assert copy.read_bytes() == content
            copy.write_bytes(b"changed")

        again = store.load(folder)
        assert again is not None
        assert again.read_bytes() == b""

    def test_one_that_cannot_be_read_is_not_continued(
        self, store: CheckpointStore, tmp_path: Path, spoil: Callable[[], None]
    ) -> None:
        (made := tmp_path / "made").write_bytes(b"content")
        store.save(made)
        spoil()

        with pytest.raises(CannotContinue):
            store.load(tmp_path)

    def test_a_place_that_takes_nothing_is_an_error_of_the_field(
        self, blocked: CheckpointStore, tmp_path: Path
    ) -> None:
        (made := tmp_path / "made").write_bytes(b"content")

        with pytest.raises(StrokeError):
            blocked.save(made)


STATE = SavedState("state-1a", {OLD: 1_767_000_000_000_000, "": -1}, {"table": "t", "at": [1]})


class StatePointerContract:
    """Provide ``pointer``, ``spoil``, which makes what it wrote unreadable, and ``blocked``."""

    def test_at_first_there_is_no_state(self, pointer: StatePointer) -> None:
        assert pointer.read("shape") is None

    def test_the_last_state_comes_back(self, pointer: StatePointer) -> None:
        for state in (STATE, SavedState("state-2b", {}, {})):
            pointer.write(state, "shape")
            assert pointer.read("shape") == state

    def test_a_state_of_another_shape_is_not_continued(self, pointer: StatePointer) -> None:
        pointer.write(STATE, "shape")

        with pytest.raises(CannotContinue, match="another version"):
            pointer.read("another")

    def test_a_state_that_cannot_be_read_is_replaced(
        self, pointer: StatePointer, spoil: Callable[[], None]
    ) -> None:
        pointer.write(STATE, "shape")
        spoil()

        with pytest.raises(CannotContinue, match="cannot be read"):
            pointer.read("shape")
        pointer.write(STATE, "shape")
        assert pointer.read("shape") == STATE

    def test_a_place_that_takes_nothing_is_an_error_of_the_field(
        self, blocked: StatePointer
    ) -> None:
        with pytest.raises(StrokeError):
            blocked.write(STATE, "shape")


class EnvelopesContract:
    """Provide ``envelopes`` of the newer schema of ``builders.truth_as_avro``, with names.

    They are of partition 3.
    """

    def read(self, envelopes: Envelopes, *records: Any) -> list[Mapping[str, Any]]:
        batch = envelopes.batch(records, [10 + 2 * at for at in range(len(records))])
        assert batch.schema == changes_schema(with_name=True)
        rows: list[Mapping[str, Any]] = batch.to_pylist()
        return rows

    def test_an_event_has_its_row_and_its_offset(self, envelopes: Envelopes) -> None:
        rows = self.read(envelopes, envelope(EVENTS[0]), envelope(EVENTS[1]))

        assert [(row["prediction_id"], row["place"]) for row in rows] == [(1, 10), (2, 12)]
        for row, event in zip(rows, EVENTS, strict=False):
            assert row["kafka_partition"] == 3
            for name in ("op", "timestamp_us", "age", "country", "probability", "name"):
                assert row[name] == event[name]
        assert envelopes.counts == Counts(events=2)

    def test_a_deletion_has_its_id_alone(self, envelopes: Envelopes) -> None:
        deletion = next(each for each in EVENTS if each["op"] == "d")

        [row] = self.read(envelopes, envelope(deletion))

        assert (row["op"], row["prediction_id"], row["country"]) == ("d", 3, None)

    def test_what_is_no_event_is_counted_over_all_batches(self, envelopes: Envelopes) -> None:
        no_change = {**envelope(EVENTS[0]), "op": "t", "after": None}

        for _ in range(2):
            rows = self.read(envelopes, None, envelope(EVENTS[1]), no_change, None)
            assert [row["prediction_id"] for row in rows] == [2]
        assert envelopes.counts == Counts(events=2, tombstones=4, strange_records=2)


class EnvelopeFormatContract:
    """Provide ``format_``."""

    def test_batches_have_the_shape_and_the_partition_that_were_asked_for(
        self, format_: EnvelopeFormat
    ) -> None:
        for with_name in (False, True):
            shape = changes_schema(with_name=with_name)
            made = format_.envelopes(schema_of(NEWER), shape, partition=7)
            batch = made.batch([envelope(EVENTS[1])], [0])
            assert batch.schema == shape
            assert batch.column("kafka_partition").to_pylist() == [7]

    def test_each_schema_and_partition_counts_for_itself(self, format_: EnvelopeFormat) -> None:
        one, other = (
            format_.envelopes(schema_of(NEWER), changes_schema(), partition=at) for at in (0, 1)
        )
        one.batch([envelope(EVENTS[1]), None], [0, 1])

        assert (one.counts, other.counts) == (Counts(events=1, tombstones=1), Counts())
