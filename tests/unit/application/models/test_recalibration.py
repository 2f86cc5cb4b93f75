"""Which update outcomes call for, and how right its line is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from stroke.application.models.recalibration import (
    Evidence,
    Rules,
    chi_square_above,
    fit_logistic,
    line_for,
    moved,
    plan,
    probability_of,
    shrunk,
)
from stroke.application.quality.calibration import calibration_intervals
from stroke.domain.errors import InvalidData
from stroke.domain.model_update import Method, RecalibrationLine

PATIENTS = 6_000
RULES = Rules()


def simulated(
    seed: int,
    *,
    intercept: float = 0.0,
    slope: float = 1.0,
    patients: int = PATIENTS,
    beside: float = 0.0,
) -> Evidence:
    """Return patients whose true log-odds are ``intercept + slope * log_odds``.

    ``beside`` is what a feature adds that the model took for nothing.
    """
    stream = np.random.default_rng(seed)
    design = stream.standard_normal((patients, 3))
    log_odds = -3 + design @ [1.2, 0.8, 0.0]
    truth = intercept + slope * log_odds + beside * design[:, 2]
    outcome = (stream.random(patients) < probability_of(truth)).astype(np.int64)
    return Evidence(outcome, log_odds, np.full(patients, "", object), design)


def holds(estimate: Any, truth: float) -> bool:
    return bool(estimate.low <= truth <= estimate.high)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_known_shift_is_found_within_its_intervals(seed: int) -> None:
    found = plan(simulated(seed, intercept=0.4, slope=0.7), RULES)

    assert found.method is Method.LINE
    assert holds(found.line.intercept_interval, 0.4)
    assert holds(found.line.slope_interval, 0.7)
    assert [each.against for each in found.tests] == [Method.NONE, Method.INTERCEPT, Method.LINE]


@pytest.mark.soak("20 simulated samples of each of four shifts; prints the intervals' coverage")
@pytest.mark.parametrize(
    ("intercept", "slope", "wanted"),
    [
        (0.0, 1.0, Method.NONE),
        (0.7, 1.0, Method.INTERCEPT),
        (-0.5, 0.75, Method.LINE),
        (0.4, 1.3, Method.LINE),
    ],
)
def test_intervals_hold_a_known_shift_as_often_as_they_say(
    intercept: float, slope: float, wanted: Method
) -> None:
    samples = [simulated(seed, intercept=intercept, slope=slope) for seed in range(20)]
    lines = [line_for(Method.LINE, each) for each in samples]
    methods = [plan(each, RULES).method for each in samples]

    held = [
        sum(holds(line.intercept_interval, intercept) for line in lines),
        sum(holds(line.slope_interval, slope) for line in lines),
    ]
    chosen = methods.count(wanted)
    print(  # noqa: T201 -- the soak reports it
        f"intercept {intercept}, slope {slope}: intervals of 95 % hold the intercept {held[0]} "
        f"and the slope {held[1]} of 20 times; {wanted.value} is chosen {chosen} times"
    )

    # Of 20 intervals of 95 % fewer than 16 hold in 1 of 400 samples.
    assert min(held) >= 16
    assert chosen >= 16


@pytest.mark.parametrize(
    ("truth", "wanted"),
    [
        ({}, Method.NONE),
        ({"intercept": 0.8}, Method.INTERCEPT),
        ({"intercept": -0.4, "slope": 0.6}, Method.LINE),
        ({"beside": 0.9}, Method.REFIT),
    ],
)
def test_the_smallest_method_that_suffices_is_chosen(
    truth: dict[str, float], wanted: Method
) -> None:
    found = plan(simulated(3, **truth), RULES)  # type: ignore[arg-type]

    assert found.method is wanted
    assert found.is_needed is (wanted is not Method.NONE)
    *earlier, last = found.tests
    assert all(each.p_value < RULES.alpha for each in earlier)
    assert (last.p_value >= RULES.alpha) is (wanted is not Method.REFIT)


def test_degrees_of_freedom_are_the_parameters_that_a_method_has_less() -> None:
    found = plan(simulated(3, beside=0.9), RULES)

    # The model's log-odds are two of the three columns: constant, and three columns are free.
    assert [each.degrees for each in found.tests] == [4, 3, 2]


def test_an_unlikely_alpha_keeps_the_model() -> None:
    shifted = simulated(4, intercept=0.25)

    assert plan(shifted, RULES).method is Method.INTERCEPT
    assert plan(shifted, replace(RULES, alpha=1e-12)).method is Method.NONE


def test_a_line_is_that_of_the_calibration_measures() -> None:
    evidence = simulated(5, intercept=0.3, slope=0.8)
    slope, intercept = calibration_intervals(evidence.outcome, probability_of(evidence.log_odds))
    line = line_for(Method.LINE, evidence)

    assert slope is not None
    assert intercept is not None
    assert line.slope_interval == pytest.approx(slope, abs=1e-7)
    assert line.intercept_interval == pytest.approx(intercept, abs=1e-7)


def test_an_intercept_makes_observed_and_expected_strokes_equal() -> None:
    evidence = simulated(6, intercept=1.0)
    line = line_for(Method.INTERCEPT, evidence)

    expected = probability_of(moved(line, evidence.log_odds)).sum()

    assert expected == pytest.approx(evidence.strokes, rel=1e-8)
    assert line.slope == 1
    assert line.slope_interval == (1, 1, 1)


@pytest.mark.parametrize(("strokes", "others"), [(99, 5_000), (5_000, 99), (0, 500), (0, 0)])
def test_too_few_outcomes_are_refused_with_the_number_needed(strokes: int, others: int) -> None:
    few = Evidence(
        np.repeat([1, 0], [strokes, others]),
        np.linspace(-4, 1, strokes + others),
        np.full(strokes + others, "", object),
    )

    with pytest.raises(InvalidData, match="needs 100 strokes and 100 patients without one"):
        plan(few, RULES)


def test_a_refit_takes_part_only_with_enough_events_for_its_coefficients() -> None:
    evidence = simulated(7, beside=0.9)
    needy = replace(RULES, events_per_coefficient=evidence.events)

    found = plan(evidence, needy)

    assert found.method in {Method.NONE, Method.INTERCEPT, Method.LINE}
    [said] = found.left_out
    needed = 3 * evidence.events
    assert said.startswith(f"no refit: it needs {needed:,} strokes and {needed:,} patients without")


def test_a_model_of_another_kind_is_not_refitted_and_it_is_said() -> None:
    found = plan(
        replace(simulated(7, beside=0.9), design=None), RULES, unfit="a forest has no coefficients"
    )

    assert found.method is not Method.REFIT
    assert found.left_out == ("no refit: a forest has no coefficients",)


def test_a_model_that_says_the_same_of_everybody_gets_no_slope() -> None:
    evidence = replace(simulated(8), log_odds=np.full(PATIENTS, -1.0))

    found = plan(evidence, RULES)

    assert found.method is Method.INTERCEPT
    assert found.left_out == ("no slope: the model says the same of everybody",)


def test_a_model_that_ranks_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(InvalidData, match="the wrong way round"):
        plan(replace(simulated(9, slope=-0.5), design=None), RULES)


def test_outcomes_that_one_risk_parts_are_refused() -> None:
    log_odds = np.linspace(-3, 3, 1_000)
    parted = Evidence((log_odds > 0).astype(np.int64), log_odds, np.full(1_000, "", object))

    with pytest.raises(InvalidData, match="leave the update open"):
        plan(parted, RULES)


def sites(seed: int, shifts: dict[str, tuple[float, int]]) -> Evidence:
    """Return patients of sites: the shift of each in log-odds, and how many it has."""
    parts = [
        replace(
            simulated(seed + at, intercept=shift, patients=patients),
            site=np.full(patients, name, object),
        )
        for at, (name, (shift, patients)) in enumerate(shifts.items())
    ]
    return Evidence(
        np.concatenate([each.outcome for each in parts]),
        np.concatenate([each.log_odds for each in parts]),
        np.concatenate([each.site for each in parts]),
    )


def test_a_site_with_enough_events_is_judged_by_its_own_patients() -> None:
    evidence = sites(10, {"North": (0.9, 4_000), "South": (0.0, 4_000)})

    found = plan(evidence, RULES, site="North")

    assert found.patients == 4_000
    assert found.shrinkage is None
    assert holds(found.line.intercept_interval, 0.9)


def test_a_small_site_is_drawn_towards_all() -> None:
    places = {f"site {at}": (0.8 * (-1) ** at, 3_000) for at in range(6)}
    evidence = sites(20, {**places, "Small": (1.2, 120)})
    whole = plan(evidence, RULES)

    found = plan(evidence, RULES, site="Small")

    assert found.shrinkage is not None
    assert found.patients == len(evidence)
    assert (found.shrinkage.sites, found.shrinkage.patients) == (7, 120)
    assert 0 < found.shrinkage.weight < 1
    small = evidence.at(evidence.site == "Small")
    alone = line_for(
        Method.INTERCEPT, replace(small, log_odds=moved(whole.line, small.log_odds))
    ).intercept
    assert 0 < found.shrinkage.difference < alone
    assert found.shrinkage.difference == pytest.approx(
        found.line.intercept - whole.line.intercept, abs=1e-8
    )
    assert found.shrinkage.strokes > found.shrinkage.expected
    # It is less sure of the site than of all, and surer than the sites differ.
    own, of_all = found.line.covariance[0][0], whole.line.covariance[0][0]
    assert of_all < own < of_all + found.shrinkage.variance


def test_sites_that_do_not_differ_leave_a_small_one_with_the_line_of_all() -> None:
    evidence = sites(60, {"Large": (0.6, 8_000), "Small": (0.6, 100)})
    whole = plan(evidence, RULES)
    found = plan(evidence, RULES, site="Small")

    assert found.shrinkage is not None
    assert found.shrinkage.variance == found.shrinkage.weight == 0
    assert found.line == whole.line


def test_a_small_site_without_a_stroke_still_has_a_line() -> None:
    places = {f"site {at}": (0.8 * (-1) ** at, 3_000) for at in range(6)}
    evidence = sites(40, {**places, "Small": (-9.0, 80)})

    found = plan(evidence, RULES, site="Small")

    assert found.shrinkage is not None
    assert found.shrinkage.strokes == 0
    assert found.line.intercept < plan(evidence, RULES).line.intercept


def test_one_stroke_that_nobody_expected_says_nothing_of_how_sites_differ() -> None:
    evidence = sites(60, {"Large": (0.6, 8_000), "Small": (0.6, 100)})
    one = Evidence(np.ones(1, np.int64), np.full(1, -20.0), np.full(1, "Tiny", object))
    both = Evidence(
        *(
            np.concatenate([getattr(each, name) for each in (evidence, one)])
            for name in ("outcome", "log_odds", "site")
        )
    )

    found = plan(both, RULES, site="Tiny").shrinkage

    assert found is not None
    assert (found.sites, found.patients, found.strokes) == (2, 1, 1)
    assert found.variance == 0


def test_a_small_site_of_too_few_outcomes_altogether_is_refused() -> None:
    evidence = sites(50, {"Large": (0.0, 400), "Small": (0.0, 100)})

    with pytest.raises(InvalidData, match="needs 100 strokes"):
        plan(evidence, RULES, site="Small")
    with pytest.raises(InvalidData, match="no patient of the site Nowhere"):
        plan(evidence, RULES, site="Nowhere")


def test_shrinkage_moves_nobody_when_a_site_is_as_all_are() -> None:
    evidence = sites(60, {"only": (0.0, 2_000)})

    assert shrunk(Method.NONE, RecalibrationLine(), evidence, "only")[0] == RecalibrationLine()


@given(st.floats(0, 400), st.integers(1, 30))
def test_the_chi_square_tail_is_scipys(statistic: float, degrees: int) -> None:
    wanted = float(chi2.sf(statistic, degrees))

    assert chi_square_above(statistic, degrees) == pytest.approx(wanted, rel=1e-9, abs=1e-14)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(-2, 2), st.floats(0.3, 2.5))
def test_a_line_keeps_the_ranking_and_larger_methods_are_never_less_likely(
    seed: int, intercept: float, slope: float
) -> None:
    evidence = simulated(seed, intercept=intercept, slope=slope, patients=1_500)
    line = line_for(Method.LINE, evidence)
    order = np.argsort(evidence.log_odds, kind="stable")

    assert (np.diff(moved(line, evidence.log_odds)[order]) >= 0).all()
    ones = np.ones((len(evidence), 1))
    reached = [
        fit_logistic(design, evidence.outcome, evidence.log_odds).log_likelihood
        for design in (
            ones,
            np.column_stack([ones, evidence.log_odds]),
            np.column_stack([ones, evidence.log_odds, evidence.design]),  # type: ignore[list-item]
        )
    ]
    assert reached == sorted(reached)
