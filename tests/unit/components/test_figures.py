"""Figures of benchmarks that fail when they could not be read, and the rate that is carried."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.figures import Arrivals, UnreadError, counted, grows, read, worst

rates = st.floats(100, 10_000)
SECONDS = 60


def stream(offered: float, carried: float, every: float) -> tuple[Arrivals, list[float]]:
    """Simulate a copy that takes up to so many rows per second and shows them every so often."""
    committed = [row / offered for row in range(int(offered * SECONDS))]
    arrivals = Arrivals("a copy")
    held = 0
    for tick in range(1, SECONDS * 4):
        now = tick / 4
        if now % every == 0:
            held = min(held + int(carried * every), int(offered * now))
        arrivals.look(now, held)
    return arrivals, committed


@pytest.mark.parametrize("value", [None, 0, 0.0, -1, math.nan, math.inf])
def test_a_figure_that_cannot_be_one_is_refused(value: float | None) -> None:
    with pytest.raises(UnreadError, match="CPU of kafka could not be read"):
        read("CPU of kafka", value)


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_every_other_figure_is_kept(value: float) -> None:
    assert read("memory", value) == value


def test_a_program_that_did_less_than_it_was_given_has_no_rate() -> None:
    assert counted("events", 5, 5) == 5
    with pytest.raises(UnreadError, match="events: 1,000 expected, 0 found"):
        counted("events", 0, 1000)


@given(rates, st.floats(1.25, 3), st.sampled_from([0.25, 1.0, 10.0]))
def test_of_more_than_is_carried_the_lag_grows_and_the_rate_is_what_is_carried(
    carried: float, more: float, every: float
) -> None:
    arrivals, committed = stream(carried * more, carried, every)

    assert grows(arrivals.lags(committed, SECONDS))
    assert arrivals.rate(SECONDS) == pytest.approx(carried, rel=0.05)


@given(rates, st.floats(0.1, 0.95), st.sampled_from([0.25, 1.0, 10.0]))
def test_of_less_than_is_carried_the_lag_does_not_grow(
    carried: float, share: float, every: float
) -> None:
    """Even where rows are committed in bulk, and lag by up to the time between two commits."""
    arrivals, committed = stream(carried * share, carried, every)
    lags = arrivals.lags(committed, SECONDS)

    assert not grows(lags)
    assert worst(lags) <= every + 0.5
    assert arrivals.rate(SECONDS) == pytest.approx(carried * share, rel=0.05)


def test_the_lag_is_the_age_of_the_oldest_row_that_lacks() -> None:
    arrivals = Arrivals("a copy")
    for now, rows in ((1.0, 0), (2.0, 2), (3.0, 3)):
        arrivals.look(now, rows)

    assert arrivals.lags([0.5, 1.0, 1.75], 3.0) == [(1.0, 0.5), (2.0, 0.25), (3.0, 0.0)]


def test_what_arrives_after_the_stream_counts_for_nothing() -> None:
    arrivals = Arrivals("a copy")
    for now, rows in ((1.0, 10), (2.0, 20), (60.0, 1_000)):
        arrivals.look(now, rows)

    assert arrivals.rate(2.0) == 10
    assert [now for now, _ in arrivals.lags([0.0], 2.0)] == [1.0, 2.0]


@pytest.mark.parametrize("rows", [[], [0, 0], [0, 5, 5]])
def test_a_copy_in_which_nothing_arrived_has_no_rate(rows: list[int]) -> None:
    arrivals = Arrivals("the lake")
    for now, held in enumerate(rows):
        arrivals.look(float(now), held)

    with pytest.raises(UnreadError, match=r"the lake: \d arrivals were seen"):
        arrivals.rate(100)


def test_a_lag_at_which_nobody_looked_is_not_none() -> None:
    for asked in (worst, grows):
        with pytest.raises(UnreadError):
            asked([])
