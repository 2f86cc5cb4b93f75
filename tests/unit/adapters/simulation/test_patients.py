from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.examples import examples
from stroke.adapters.simulation.patients import SMOKING_STATUSES, simulate
from stroke.domain.patient import OPTIONAL, Patient

SEEDS = st.integers(0, 2**64)


def rows(count: int, seed: int, **options: Any) -> list[dict[str, Any]]:
    found = []
    for columns in simulate(count, seed, **options):
        cells = [[column.values[i] for i in column.index] for column in columns.values()]
        found += [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]
    return found


def drawn(field: str, count: int = 50_000) -> np.ndarray:
    (columns,) = simulate(count, 0)
    return np.array(columns[field].values)[columns[field].index]


@given(SEEDS)
@settings(max_examples=examples(15))
def test_every_simulated_patient_is_a_patient_of_the_domain(seed: int) -> None:
    assert len([Patient(**row) for row in rows(100, seed)]) == 100


@given(seed=SEEDS, count=st.integers(0, 40), at_a_time=st.integers(1, 50))
@settings(max_examples=examples(15))
def test_drawing_fewer_at_a_time_changes_no_patient(seed: int, count: int, at_a_time: int) -> None:
    assert rows(count, seed, at_a_time=at_a_time) == rows(count, seed)


def test_another_seed_gives_other_patients() -> None:
    assert rows(20, 1) != rows(20, 2)


def test_values_are_rounded_as_clinicians_write_them() -> None:
    for row in rows(2000, 0):
        assert row["avg_glucose_level"] == round(row["avg_glucose_level"], 2)
        assert row["bmi"] == round(row["bmi"], 1)
        assert row["age"] == round(row["age"], 1 if row["age"] < 2 else 0)


def test_disease_and_measurements_rise_with_age() -> None:
    age = drawn("age")
    young, old = age < 40, age >= 60
    for field in ("hypertension", "heart_disease", "avg_glucose_level", "bmi"):
        values = drawn(field)
        assert values[old].mean() > 1.1 * values[young].mean(), field


def test_glucose_and_hypertension_go_with_weight_among_adults() -> None:
    adult, bmi = drawn("age") >= 20, drawn("bmi")
    for field in ("avg_glucose_level", "hypertension"):
        assert 0.03 < np.corrcoef(bmi[adult], drawn(field)[adult])[0, 1] < 0.4, field


def test_the_shares_are_those_of_the_public_data_set() -> None:
    # 9.75 %, 5.40 %, 58.6 % of its 5,110 patients, and 30.2 % whose smoking is not known.
    assert abs(drawn("hypertension").mean() - 0.0975) < 0.02
    assert abs(drawn("heart_disease").mean() - 0.0540) < 0.02
    assert abs((drawn("gender") == "Female").mean() - 0.586) < 0.01
    assert abs((drawn("smoking_status") == "Unknown").mean() - 0.302) < 0.02


def test_nobody_knows_whether_a_child_smokes() -> None:
    smoking = drawn("smoking_status")
    assert set(smoking[drawn("age") < 10]) == {"Unknown"}
    assert set(smoking) == set(SMOKING_STATUSES)


def test_patients_come_from_many_countries_and_are_named_in_their_scripts() -> None:
    assert len(set(drawn("country"))) >= 12
    assert len(set(drawn("province"))) >= 50
    names = {str(name) for name in drawn("name")}
    assert len(names) > 1000
    assert any(not name.isascii() for name in names)


@given(seed=SEEDS, share=st.floats(0, 1), at_a_time=st.integers(1, 50))
@settings(max_examples=examples(15))
def test_gaps_change_no_other_value_whatever_their_share(
    seed: int, share: float, at_a_time: int
) -> None:
    whole, found = rows(40, seed), rows(40, seed, missing=share, at_a_time=at_a_time)
    assert [Patient(**row).missing for row in whole] == [()] * 40
    for before, now in zip(whole, found, strict=True):
        gaps = Patient(**now).missing
        assert {**before, **dict.fromkeys(gaps)} == now
    more = rows(40, seed, missing=min(1.0, share + 0.2))
    for fewer, row in zip(found, more, strict=True):
        assert set(Patient(**fewer).missing) <= set(Patient(**row).missing)


@pytest.mark.parametrize("share", [0.05, 0.2, 1.0])
def test_the_share_of_gaps_is_that_of_each_measurement(share: float) -> None:
    found = rows(20_000, 3, missing=share)
    for name in OPTIONAL:
        assert sum(row[name] is None for row in found) / 20_000 == pytest.approx(share, abs=0.01)
    both = sum(row["bmi"] is None is row["avg_glucose_level"] for row in found) / 20_000
    assert both == pytest.approx(share**2, abs=0.01)
