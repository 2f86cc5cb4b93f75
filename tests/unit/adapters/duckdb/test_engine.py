"""The embedded engine against results that were checked by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.changes import Batches, a_change, loaded, reading
from builders.truth import EVENTS, NEW, OLD, TRUTH, Change, latest_of
from contracts.analyses import EngineInThisProcessContract
from fakes.analyses import FakeCheckpoints
from runner.examples import examples
from stroke.adapters.duckdb.engine import DuckDbEngine
from stroke.application.analyses.ports import SourceRead
from stroke.application.analyses.queries import Analysis, analyses

ANALYSES = {each.name: each for each in analyses(top=2, minimum=1)}


@pytest.fixture
def engine() -> Iterator[DuckDbEngine]:
    with DuckDbEngine(memory_mib=256) as engine:
        yield engine


def rows_of(engine: DuckDbEngine, analysis: Analysis) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in engine.query(analysis).to_pylist()]


def test_every_analysis_has_a_truth_to_meet() -> None:
    assert TRUTH.keys() == ANALYSES.keys()


@pytest.mark.parametrize("name", TRUTH)
def test_an_analysis_gives_the_rows_that_were_checked_by_hand(
    engine: DuckDbEngine, name: str
) -> None:
    shuffled = random.Random(name).sample(EVENTS, len(EVENTS))  # noqa: S311
    assert loaded(engine, shuffled).predictions == 6

    found = rows_of(engine, ANALYSES[name])

    width = len(TRUTH[name][0])
    assert len(found) == len(TRUTH[name])
    for row, expected in zip(found, TRUTH[name], strict=True):
        assert row[:width] == pytest.approx(expected, abs=1e-12)


def test_names_are_there_only_on_request(engine: DuckDbEngine) -> None:
    loaded(engine, EVENTS)
    assert all("name" not in engine.query(each).column_names for each in ANALYSES.values())

    loaded(engine, EVENTS, with_name=True)
    named = {each.name: each for each in analyses(with_name=True)}
    for each in named.values():
        assert ("name" in engine.query(each).column_names) == each.patient_level


def test_a_rate_has_wilson_s_interval(engine: DuckDbEngine) -> None:
    """Of 10 among 100 it is 5.52 % to 17.44 %."""
    changes = [a_change(n, 1, risk_category="High" if n < 10 else "Low") for n in range(100)]
    loaded(engine, changes)

    (row,) = engine.query(ANALYSES["model-versions"]).to_pylist()

    assert row["high_rate"] == pytest.approx(0.1)
    assert (row["high_rate_low"], row["high_rate_high"]) == pytest.approx(
        (0.0552, 0.1744), abs=5e-5
    )


def test_a_small_group_shows_nothing_but_its_size(engine: DuckDbEngine) -> None:
    few = [a_change(n, 1, gender="Other", risk_category="High", probability=0.9) for n in range(9)]
    many = [a_change(n, 1, gender="Male", risk_category="High") for n in range(20, 30)]
    loaded(engine, few + many)
    (by_gender,) = [each for each in analyses() if each.name == "risk-by-gender"]

    male, other = engine.query(by_gender).to_pylist()

    assert (male["predictions"], male["high_rate"]) == (10, 1.0)
    assert other["predictions"] == 9
    figures = ("high_risk", "high_rate", "high_rate_low", "high_rate_high", "mean_probability")
    assert [other[name] for name in figures] == [None] * 5


@pytest.mark.parametrize("stored", ["null", "{}", '"age"', "age, bmi", "[", '[["age"]]', ""])
def test_factors_that_are_no_list_of_names_stop_nothing(engine: DuckDbEngine, stored: str) -> None:
    loaded(engine, [a_change(1, 1, contributing_factors=stored)])

    assert engine.query(ANALYSES["contributing-factors"]).num_rows <= 1
    assert engine.query(ANALYSES["risk-distribution"]).num_rows == 1


def test_no_events_give_empty_tables(engine: DuckDbEngine) -> None:
    assert loaded(engine, []).predictions == 0
    assert engine.query(ANALYSES["operations"]).num_rows == 0
    assert sum(engine.query(ANALYSES["probability-histogram"])["predictions"].to_pylist()) == 0


OFFSETS = st.tuples(st.sampled_from([OLD, NEW]), st.integers(0, 20))


@settings(max_examples=examples(60))
@given(
    st.dictionaries(
        OFFSETS, st.tuples(st.integers(1, 5), st.sampled_from("crud"), st.floats(0, 1)), max_size=25
    ),
    st.randoms(use_true_random=False),
)
def test_the_snapshot_is_the_last_word_on_each_id(
    log: dict[tuple[str, int], tuple[int, str, float]], order: random.Random
) -> None:
    changes = [
        a_change(number, place, op, cluster, probability=None if op == "d" else probability)
        for (cluster, place), (number, op, probability) in log.items()
    ]
    stored = changes + order.sample(changes, len(changes) // 3)  # some of them twice
    order.shuffle(stored)

    with DuckDbEngine(memory_mib=128, threads=1) as engine:
        loaded(engine, stored, size=3)
        found = engine.query(ANALYSES["latest-snapshot"]).to_pylist()
        events = engine.query(ANALYSES["operations"]).to_pylist()

    assert {row["id"]: row["probability"] for row in found} == {
        number: change["probability"] for number, change in latest_of(changes).items()
    }
    assert sum(row["events"] for row in events) == len(changes)


class TestDuckDbEngine(EngineInThisProcessContract):
    @pytest.fixture
    def kept(self) -> FakeCheckpoints:
        return FakeCheckpoints()

    @pytest.fixture
    def engines(self, kept: FakeCheckpoints) -> Callable[[], DuckDbEngine]:
        return lambda: DuckDbEngine(memory_mib=128, threads=1, checkpoints=kept)

    @pytest.fixture
    def damage(self, kept: FakeCheckpoints) -> Callable[[], None]:
        def damage() -> None:
            assert kept.kept is not None
            kept.kept = kept.kept[:5_000]

        return damage

    def reading(self, changes: Sequence[Change], *, with_name: bool = False) -> SourceRead[Batches]:
        return reading(changes, with_name=with_name)

    def test_without_a_place_for_checkpoints_none_is_saved(self) -> None:
        with DuckDbEngine(memory_mib=128) as nowhere:
            loaded(nowhere, EVENTS)
            nowhere.save({"at": 1})
            assert nowhere.resume() is None
