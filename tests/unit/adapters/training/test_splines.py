from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.adapters.training.splines import SplineDesign, restricted_cubic_basis
from stroke.adapters.training.verification import trial_patients
from stroke.domain.patient import OPTIONAL

KNOTS = np.array([1.0, 2.0, 4.0, 7.0])


def test_the_basis_is_harrells_formula() -> None:
    # Worked by hand at x = 5, first nonlinear term:
    # ((5-1)^3 - (5-4)^3 (7-1)/(7-4) + 0) / (7-1)^2 = (64 - 2) / 36
    linear, first, second = restricted_cubic_basis(np.array([5.0]), KNOTS)[0]
    assert linear == 5.0
    assert first == pytest.approx(62 / 36)
    assert second == pytest.approx((27 - 5 / 3) / 36)


def test_left_of_the_first_knot_only_the_linear_term_is_there() -> None:
    np.testing.assert_array_equal(
        restricted_cubic_basis(np.array([-3.0, 1.0]), KNOTS), [[-3, 0, 0], [1, 0, 0]]
    )


@given(st.floats(min_value=7, max_value=1e3), st.floats(min_value=0.1, max_value=10))
def test_right_of_the_last_knot_every_term_is_a_straight_line(x: float, step: float) -> None:
    basis = restricted_cubic_basis(np.array([x, x + step, x + 2 * step]), KNOTS)
    np.testing.assert_allclose(basis[1] - basis[0], basis[2] - basis[1], rtol=1e-6, atol=1e-6)


@given(st.sampled_from(KNOTS.tolist()))
def test_slopes_do_not_jump_at_a_knot(knot: float) -> None:
    before, at, after = restricted_cubic_basis(np.array([knot - 1e-6, knot, knot + 1e-6]), KNOTS)
    np.testing.assert_allclose((at - before) / 1e-6, (after - at) / 1e-6, atol=1e-4)


def test_the_design_is_standardised_and_each_column_belongs_to_a_feature() -> None:
    patients = trial_patients(2_000)
    design = SplineDesign().fit(patients)
    matrix = design.transform(patients)
    assert matrix.shape == (len(patients), len(design.groups_)) == (len(patients), 15)
    np.testing.assert_allclose(matrix.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(matrix.std(axis=0), 1, atol=1e-9)


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_missing_measurement_counts_as_the_median_and_is_not_marked(name: str) -> None:
    patients = trial_patients(500)
    design = SplineDesign().fit(patients)
    missing, median = patients.head(1).copy(), patients.head(1).copy()
    missing[name] = np.nan
    median[name] = design.medians_[name]
    np.testing.assert_array_equal(design.transform(missing), design.transform(median))
