"""The analyses on Spark against the hand-checked truth, and against the embedded engine."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import fs
from pyspark.sql import DataFrame, SparkSession

from builders.changes import loaded, silent
from builders.extremes import extreme_changes
from builders.truth import EVENTS, NEW, OLD, TRUTH, Change, latest_of
from contracts.analyses import AnalyticsEngineContract, ChangeSourceContract
from fakes.analyses import FakeChangeSource, FakePointer
from stroke.adapters.duckdb.engine import DuckDbEngine
from stroke.adapters.results.pointer import FolderPointer
from stroke.adapters.spark.batches import SparkBatches
from stroke.adapters.spark.changes import SKIPPED, schema_of_changes
from stroke.adapters.spark.checkpoint import SparkState
from stroke.adapters.spark.engine import SparkEngine
from stroke.application.analyses.ports import SourceRead
from stroke.application.analyses.queries import Analysis, analyses
from stroke.application.analyses.runs import Reached
from stroke.application.analyses.views import CHANGES
from stroke.domain.errors import StoreUnavailable

ANALYSES = {each.name: each for each in analyses(top=2, minimum=1)}
ODD_FACTORS = [
    *("null", "{}", '"age"', "age, bmi", "[", '[["age"]]', "", " [ ]", "[null]", "[1, true]"),
    '["age", "bmi"]',
    '["bmi"]',
    '["age", "age"]',
    None,
]


def reading(
    session: SparkSession, changes: Sequence[Change], *, with_name: bool = False
) -> SourceRead[DataFrame]:
    """Return what a source of the changes gives; its position is their number."""
    names = [*CHANGES, *(["name"] if with_name else [])]
    rows = [(*(change.get(name) for name in names), None) for change in changes]
    frame = session.createDataFrame(rows, schema_of_changes(with_name=with_name))
    return SourceRead(frame.repartition(3), lambda: {"read": len(changes)}, len(changes))


def load(engine: SparkEngine, read: SourceRead[DataFrame], *, with_name: bool = False) -> Any:
    return engine.load(read, with_name=with_name, on_progress=silent)


@pytest.fixture(scope="module")
def truth(spark: SparkSession) -> Iterator[SparkEngine]:
    shuffled = random.Random(1).sample(EVENTS, len(EVENTS))  # noqa: S311
    engine = SparkEngine(spark)
    found = load(engine, reading(spark, shuffled))
    assert (found.events, found.predictions) == (15, 6)
    assert found.reached == [Reached(OLD, 0, 111), Reached(NEW, 0, 0)]
    yield engine
    engine.close()


@pytest.mark.parametrize("name", TRUTH)
def test_an_analysis_gives_the_rows_that_were_checked_by_hand(
    truth: SparkEngine, name: str
) -> None:
    assert_true(truth, name)


def assert_true(engine: SparkEngine, name: str) -> None:
    found = [tuple(row.values()) for row in engine.query(ANALYSES[name]).to_pylist()]
    width = len(TRUTH[name][0])
    assert len(found) == len(TRUTH[name])
    for row, expected in zip(found, TRUTH[name], strict=True):
        assert row[:width] == pytest.approx(expected, abs=1e-12)


def random_changes(seed: int, count: int) -> list[Change]:
    """Changes of few predictions, with values on the edges and beyond, NULLs, and repeats."""
    of = random.Random(seed)  # noqa: S311
    numbers = [None, math.nan, 0.0, 18.0, 18.5, 24.9, 25.0, 30.0, 35.1, 80.0, 150.0, 150.5, 300.0]
    changes = list[Change]()
    for place in range(count):
        cluster = OLD if place < count * 0.8 else NEW
        row = {
            "op": of.choice("cuuurd"),
            "prediction_id": of.randrange(count // 3),
            "ts_us": 1_767_000_000_000_000 + place,
            "cluster": cluster,
            "kafka_partition": 0,
            "place": place if cluster == OLD else place - int(count * 0.8),
            "turn": 0,
        }
        if row["op"] != "d":
            row |= {
                "timestamp_us": of.choice([None, -1, 0, 1_767_225_599_999_999 + place * 10**10]),
                "gender": of.choice([None, "Male", "Female", "Other", "(missing)"]),
                "age": of.choice(numbers),
                "hypertension": of.choice([None, 0, 1]),
                "heart_disease": of.choice([None, 0, 1]),
                "avg_glucose_level": of.choice(numbers),
                "bmi": of.choice(numbers),
                "smoking_status": of.choice([None, "never smoked", "smokes"]),
                "country": of.choice([None, "日本", "Ünïcödé", "a", "B", "É"]),
                "province": of.choice([None, "", "x", "😀"]),
                "probability": of.choice([None, 0.0, 0.05, 0.15, 0.3, 0.999_999, 1.0, of.random()]),
                "risk_category": of.choice([None, "Low", "Medium", "High", "Other"]),
                "model_version": of.choice([None, "v1", "v2"]),
                "contributing_factors": of.choice(ODD_FACTORS),
            }
        changes.append({name: row.get(name) for name in CHANGES})
    return changes + changes[:: count // 10]


def test_both_engines_count_extreme_values_alike(spark: SparkSession) -> None:
    assert_alike(spark, extreme_changes())


@pytest.mark.parametrize("seed", [1, 2])
def test_both_engines_give_the_same_rows_of_the_same_types(spark: SparkSession, seed: int) -> None:
    assert_alike(spark, random_changes(seed, 400))


def assert_alike(spark: SparkSession, changes: Sequence[Change]) -> None:
    """Run all analyses of the changes on both engines, and compare the rows."""
    engine = SparkEngine(spark)
    found = load(engine, reading(spark, changes))
    with DuckDbEngine(memory_mib=256) as embedded:
        assert loaded(embedded, changes).predictions == found.predictions
        for analysis in analyses():
            assert_same(embedded.query(analysis), engine.query(analysis), analysis)
    engine.close()


def assert_same(one: pa.Table, other: pa.Table, analysis: Analysis) -> None:
    assert one.schema.equals(other.schema), analysis.name
    rows, others = one.to_pylist(), other.to_pylist()
    assert len(rows) == len(others), analysis.name
    for row, found in zip(rows, others, strict=True):
        assert list(row.values()) == [
            pytest.approx(v, abs=1e-12, nan_ok=True) if isinstance(v, float) else v
            for v in found.values()
        ], analysis.name


def rows() -> FakeChangeSource:
    """Return the rows of a table as a source in this process gives them."""
    left = [{**row, "op": "r"} for _, row in sorted(latest_of(EVENTS).items())]
    return FakeChangeSource(left, has_events=False)


def test_rows_of_a_table_give_what_they_give_in_one_process(spark: SparkSession) -> None:
    engine = SparkEngine(spark)
    read = SparkBatches(spark, rows()).read(with_name=True)
    found = load(engine, read, with_name=True)
    assert (read.has_events, found.reached, read.position()) == (False, (), {"read": 6})
    with DuckDbEngine(memory_mib=256) as embedded:
        given = rows().read(with_name=True)
        there = embedded.load(given, with_name=True, on_progress=silent)
        assert there.predictions == found.predictions > 2
        for analysis in analyses():
            if not analysis.needs_events:
                assert_same(embedded.query(analysis), engine.query(analysis), analysis)
    engine.close()


class TestSparkBatches(ChangeSourceContract[DataFrame]):
    has_events = False

    @pytest.fixture
    def source(self, spark: SparkSession) -> SparkBatches:
        return SparkBatches(spark, rows())

    @pytest.fixture
    def gone(self, spark: SparkSession) -> SparkBatches:
        away = rows()
        away.failing = StoreUnavailable("away")
        return SparkBatches(spark, away)

    def rows_of(self, read: SourceRead[DataFrame]) -> list[dict[str, Any]]:
        return rows_of(read)


def rows_of(read: SourceRead[DataFrame]) -> list[dict[str, Any]]:
    """Return the rows of a frame that are no counts of what is beside them."""
    events = read.rows.where(f"{SKIPPED} IS NULL").drop(SKIPPED)
    return [row.asDict() for row in events.collect()]


class TestSparkEngine(AnalyticsEngineContract[DataFrame]):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        return tmp_path / "kept"

    @pytest.fixture
    def engines(self, spark: SparkSession, place: Path) -> Callable[[], SparkEngine]:
        def engine() -> SparkEngine:
            pointer = FolderPointer(fs.LocalFileSystem(), str(place))
            return SparkEngine(spark, SparkState(place.as_uri(), pointer))

        self._spark = spark
        return engine

    @pytest.fixture(params=["state.json", "the tables"])
    def damage(self, request: pytest.FixtureRequest, place: Path) -> Callable[[], None]:
        def damage() -> None:
            if request.param == "state.json":
                (place / "state.json").write_text("[]")
            else:
                [state] = place.glob("state-*")
                shutil.rmtree(state)

        return damage

    def reading(
        self, changes: Sequence[Change], *, with_name: bool = False
    ) -> SourceRead[DataFrame]:
        return reading(self._spark, changes, with_name=with_name)

    def test_every_analysis_of_a_run_that_continues_gives_the_truth(
        self, engines: Callable[[], SparkEngine], place: Path
    ) -> None:
        for first, last in ((0, 4), (4, 12), (12, len(EVENTS))):
            engine = engines()
            some = EVENTS[first:last]
            if engine.resume() is None:
                self.load(engine, some)
            else:
                self.extend(engine, some)
            if last == len(EVENTS):
                for name in TRUTH:
                    assert_true(engine, name)
            engine.save({"read": last})
            engine.close()

        assert len(list(place.iterdir())) == 2, "one state, and what points to it"
        assert json.loads((place / "state.json").read_text())["point"] == {"read": len(EVENTS)}


def test_a_state_that_was_never_written_is_not_resumed(spark: SparkSession, tmp_path: Path) -> None:
    engine = SparkEngine(spark, SparkState(tmp_path.as_uri(), FakePointer()))

    assert engine.resume() is None
    load(engine, reading(spark, EVENTS, with_name=True), with_name=True)
    engine.save({"read": 15})
    engine.close()

    assert list(tmp_path.iterdir()) == []
    assert engine.resume() is None


def test_names_are_there_only_on_request(spark: SparkSession) -> None:
    engine = SparkEngine(spark)
    load(engine, reading(spark, EVENTS, with_name=True), with_name=True)
    named = {each.name: each for each in analyses(with_name=True)}
    assert "name" in engine.query(named["top-risks"]).column_names
    engine.close()
