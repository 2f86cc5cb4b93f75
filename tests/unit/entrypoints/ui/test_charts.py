from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stroke.domain.risk import Contribution
from stroke.entrypoints.ui import charts

LOG_ODDS = st.floats(-8, 8)


@given(LOG_ODDS, st.lists(LOG_ODDS, max_size=8))
def test_each_bar_starts_where_the_last_one_ends(baseline: float, steps: list[float]) -> None:
    path = charts.waterfall(baseline, [Contribution("age", 1.0, each) for each in steps])
    places = [path.first, *(step.end for step in path.steps)]
    assert [step.start for step in path.steps] == places[:-1]
    assert path.last == places[-1]
    assert all(0 <= place <= 100 for place in places)
    for step in path.steps:
        assert (step.end > step.start) == (step.contribution.log_odds > 0) or step.width == "0.8%"


@given(LOG_ODDS, st.lists(LOG_ODDS, max_size=8))
def test_ticks_stand_apart_and_within_the_picture(baseline: float, steps: list[float]) -> None:
    path = charts.waterfall(baseline, [Contribution("age", 1.0, each) for each in steps])
    places = [place for _, place in path.ticks]
    assert all(0 <= place <= 100 for place in places)
    assert all(after - before >= 9 for before, after in pairwise(places))


@given(st.integers(0, 100))
def test_as_many_figures_are_filled_as_are_said_from_the_top_left(count: int) -> None:
    filled = [ill for *_, ill in charts.figures(count)]
    assert filled == [True] * count + [False] * (100 - count)


@given(st.floats(-2, 3))
def test_a_share_stays_within_the_picture(share: float) -> None:
    assert 0 <= float(charts.percent(share).rstrip("%")) <= 100


@given(st.floats(1e-6, 1e9))
def test_an_axis_ends_at_a_round_number_that_holds_everything(value: float) -> None:
    top = charts.round_top(value)
    assert value <= top * (1 + 1e-9)
    assert top <= 2.5 * value + 1e-9


def test_the_scale_of_risks_grows_only_when_something_passes_it() -> None:
    assert charts.scale_end([0.1, None]) == 0.4
    assert charts.scale_end([0.1, 0.41]) == 1.0
