"""The analyses on Spark against the hand-checked truth, and against the embedded engine."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import fs
from pyspark.sql import SparkSession

from builders.truth import EVENTS, NEW, OLD, TRUTH, Change
from stroke.adapters.duckdb.engine import DuckDbEngine
from stroke.adapters.results.pointer import FolderPointer
from stroke.adapters.spark.batches import SparkBatches
from stroke.adapters.spark.changes import SparkInput, SparkSource, schema_of_changes
from stroke.adapters.spark.checkpoint import SparkState
from stroke.adapters.spark.engine import SparkAnalytics
from stroke.application.analyses.changes import ChangeSource, Input, changes_schema
from stroke.application.analyses.checkpoints import CannotContinue
from stroke.application.analyses.queries import Analysis, analyses
from stroke.application.analyses.service import Reached
from stroke.application.analyses.views import CHANGES

ANALYSES = {each.name: each for each in analyses(top=2, minimum=1)}
ODD_FACTORS = [
    *("null", "{}", '"age"', "age, bmi", "[", '[["age"]]', "", " [ ]", "[null]", "[1, true]"),
    '["age", "bmi"]',
    '["bmi"]',
    '["age", "age"]',
    None,
]


class Log(SparkSource):
    """Change events of the test; a point is how many of them are read."""

    def __init__(self, session: SparkSession, changes: Sequence[Change]) -> None:
        self.changes = list(changes)
        self.is_broken = False
        self._session = session

    def read(self, since: Mapping[str, Any] | None, *, with_name: bool) -> SparkInput:
        if since and self.is_broken:
            raise CannotContinue("it was of another table")
        names = [*CHANGES, *(["name"] if with_name else [])]
        new = self.changes[since["read"] if since else 0 :]
        rows = [(*(change.get(name) for name in names), None) for change in new]
        frame = self._session.createDataFrame(rows, schema_of_changes(with_name=with_name))
        at = len(self.changes)
        return SparkInput(frame.repartition(3), lambda beside: {"read": at, **beside})


def silent(what: str, done: int, total: int | None) -> None:
    pass


@pytest.fixture(scope="module")
def truth(spark: SparkSession) -> Iterator[SparkAnalytics]:
    shuffled = random.Random(1).sample(EVENTS, len(EVENTS))  # noqa: S311
    engine = SparkAnalytics(spark, Log(spark, shuffled))
    loaded = engine.load(with_name=False, on_progress=silent)
    assert (loaded.events, loaded.predictions) == (15, 6)
    assert loaded.reached == [Reached(OLD, 0, 111), Reached(NEW, 0, 0)]
    yield engine
    engine.keep()


@pytest.mark.parametrize("name", TRUTH)
def test_an_analysis_gives_the_rows_that_were_checked_by_hand(
    truth: SparkAnalytics, name: str
) -> None:
    assert_true(truth, name)


def assert_true(engine: SparkAnalytics, name: str) -> None:
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


@pytest.mark.parametrize("seed", [1, 2])
def test_both_engines_give_the_same_rows_of_the_same_types(spark: SparkSession, seed: int) -> None:
    changes = random_changes(seed, 400)
    engine = SparkAnalytics(spark, Log(spark, changes))
    loaded = engine.load(with_name=False, on_progress=silent)
    schema = changes_schema()
    batch = pa.RecordBatch.from_pylist([{n: c[n] for n in schema.names} for c in changes], schema)
    with DuckDbEngine(memory_mib=256) as embedded:
        assert embedded.load(iter([batch]), with_name=False) == loaded.predictions
        for analysis in analyses():
            assert_same(embedded.query(analysis), engine.query(analysis), analysis)
    engine.keep()


def assert_same(one: pa.Table, other: pa.Table, analysis: Analysis) -> None:
    assert one.schema.equals(other.schema), analysis.name
    rows, others = one.to_pylist(), other.to_pylist()
    assert len(rows) == len(others), analysis.name
    for row, found in zip(rows, others, strict=True):
        assert list(row.values()) == [
            pytest.approx(v, abs=1e-12, nan_ok=True) if isinstance(v, float) else v
            for v in found.values()
        ], analysis.name


class Rows(ChangeSource):
    """The rows of a table, in two batches."""

    def read(self, *, with_name: bool) -> Input:
        schema = changes_schema(with_name=with_name)
        rows = [{n: c.get(n) for n in schema.names} for c in EVENTS if c["op"] in "cr"]
        once = list({row["prediction_id"]: row for row in rows}.values())
        batches = [pa.RecordBatch.from_pylist(part, schema) for part in (once[:2], once[2:])]
        return Input(iter(batches), {"table": "predictions"}, len(once), has_events=False)


def test_rows_of_a_table_give_what_they_give_in_one_process(spark: SparkSession) -> None:
    engine = SparkAnalytics(spark, SparkBatches(spark, Rows()))
    loaded = engine.load(with_name=True, on_progress=silent)
    assert (loaded.has_events, loaded.reached, loaded.point) == (
        False,
        (),
        {"table": "predictions"},
    )
    with DuckDbEngine(memory_mib=256) as embedded:
        given = Rows().read(with_name=True)
        assert embedded.load(given.batches, with_name=True) == loaded.predictions > 2
        for analysis in analyses():
            if not analysis.needs_events:
                assert_same(embedded.query(analysis), engine.query(analysis), analysis)
    engine.keep()


@pytest.fixture
def state(tmp_path: Path) -> SparkState:
    pointer = FolderPointer(fs.LocalFileSystem(), str(tmp_path / "kept"))
    return SparkState((tmp_path / "kept").as_uri(), pointer)


def test_runs_that_go_on_give_what_one_run_gives(
    spark: SparkSession, state: SparkState, tmp_path: Path
) -> None:
    log = Log(spark, [])
    seen = []
    for end in (0, 4, 12, len(EVENTS), len(EVENTS)):
        log.changes = list(EVENTS[:end])
        engine = SparkAnalytics(spark, log, state)
        loaded = engine.load(with_name=False, on_progress=silent)
        seen.append((loaded.events, loaded.since))
        if end == len(EVENTS):
            for name in TRUTH:
                assert_true(engine, name)
        engine.keep()

    assert seen == [
        (0, None),
        (4, {"read": 0}),
        (8, {"read": 4}),
        (3, {"read": 12}),
        (0, {"read": 15}),
    ]
    assert len(list((tmp_path / "kept").iterdir())) == 2, "one state, and what points to it"


def test_where_what_is_new_cannot_be_told_everything_is_read(
    spark: SparkSession, state: SparkState, tmp_path: Path
) -> None:
    log = Log(spark, EVENTS[8:])
    notes = []
    for make_ready in (
        lambda: None,
        lambda: log.changes.extend(EVENTS[:8]),  # older than the first that was known
        lambda: setattr(log, "is_broken", True),
        lambda: (tmp_path / "kept" / "state.json").write_text("{}"),
        lambda: (tmp_path / "kept" / "state.json").write_text("no json"),
    ):
        make_ready()
        engine = SparkAnalytics(spark, log, state)
        loaded = engine.load(with_name=False, on_progress=silent)
        notes.append(loaded.note)
        engine.keep()

    assert loaded.events == 15
    assert notes[0] is None
    assert [str(note).removeprefix("everything was read afresh: ") for note in notes[1:]] == [
        "an event is older than the first known of its Kafka cluster",
        "it was of another table",
        "another version of stroke kept what the last run read",
        "what the last run kept cannot be read",
    ]


def test_names_are_there_only_on_request_and_never_kept(
    spark: SparkSession, state: SparkState, tmp_path: Path
) -> None:
    engine = SparkAnalytics(spark, Log(spark, EVENTS), state)
    engine.load(with_name=True, on_progress=silent)
    named = {each.name: each for each in analyses(with_name=True)}
    assert "name" in engine.query(named["top-risks"]).column_names
    engine.keep()
    assert not (tmp_path / "kept").exists()
