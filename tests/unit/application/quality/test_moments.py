"""Moments of values that come piece by piece are those of all at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.application.quality.moments import Moments

pieces = st.lists(
    st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), max_size=20), min_size=1, max_size=8
)


@given(pieces)
def test_pieces_give_what_all_values_give(split: list[list[float]]) -> None:
    values = np.concatenate([np.array(each, np.float64) for each in split])
    moments = Moments()
    for each in split:
        moments.add(np.array(each, np.float64))

    assert moments.count == len(values)
    if len(values):
        assert moments.total == pytest.approx(values.sum(), abs=1e-6)
        assert moments.mean == pytest.approx(values.mean(), abs=1e-6)
    if len(values) > 1:
        assert moments.variance == pytest.approx(values.var(ddof=1), rel=1e-9, abs=1e-6)
        assert moments.negative().mean == -moments.mean
        assert moments.negative().variance == moments.variance


def test_a_spread_far_below_the_mean_is_kept() -> None:
    values = 1e9 + np.random.default_rng(2).normal(0, 1e-3, 10_000)
    moments = Moments()
    for start in range(0, len(values), 700):
        moments.add(values[start : start + 700])

    assert moments.variance == pytest.approx(float(values.var(ddof=1)), rel=1e-4)


def test_equal_values_have_no_spread_at_all() -> None:
    moments = Moments.of(np.ones(5))
    moments.add(np.ones(3))

    assert (moments.mean, moments.variance) == (1.0, 0.0)
