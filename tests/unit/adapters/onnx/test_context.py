"""Support and comparisons from tables that are known in closed form."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from stroke.adapters.onnx.comparison import Comparisons
from stroke.adapters.onnx.manifest_parts import ComparisonTables, SupportTables
from stroke.adapters.onnx.support import SupportRules
from stroke.domain.comparison import REFERENCE_VALUES, Comparison
from stroke.domain.features import RAW_FEATURES
from stroke.domain.patient import GENDERS, SMOKING_STATUSES, Patient
from stroke.domain.support import Support, SupportLevel

YEARS = 81
RANK = {level: rank for rank, level in enumerate(SupportLevel)}
SUPPORT: dict[str, Any] = {
    "few": 50,
    "few_nearby": 5,
    "few_of_kind": 50,
    "too_few_of_kind": 10,
    "nearby_years": 5,
    "ranges": {
        "age": (1, 2, 80, 82),
        "avg_glucose_level": (50, 60, 200, 250),
        "bmi": (10, 15, 50, 90),
    },
    "by_age": {
        "avg_glucose_level": [(55, 65, 100 + year, 150 + year) for year in range(YEARS)],
        "bmi": [(12, 14, 30 + year / 4, 40 + year / 4) for year in range(YEARS)],
    },
    "kinds": {
        "gender": {"Male": 500, "Female": 500, "Other": 3},
        "smoking_status": {
            "never smoked": 400,
            "formerly smoked": 400,
            "smokes": 40,
            "Unknown": 99,
        },
    },
    "kinds_by_age": {
        "hypertension": {
            "0": [300] * YEARS,
            "1": [0 if year < 18 else 3 if year < 30 else 50 for year in range(YEARS)],
        }
    },
    "leverage": {"rare": 3, "highest": 7},
}


class Place(NamedTuple):
    """A patient's values, NaN for one that is missing, and leverage."""

    age: float
    avg_glucose_level: float
    bmi: float
    leverage: float
    gender: str
    hypertension: float
    heart_disease: float
    smoking_status: str

    def patient(self) -> Patient:
        """Return the patient at this place, whose values need not be plausible."""
        made = object.__new__(Patient)
        for name in RAW_FEATURES:
            value = getattr(self, name)
            absent = isinstance(value, float) and math.isnan(value)
            object.__setattr__(made, name, None if absent else value)
        return made


TYPICAL = Place(60.0, 100.0, 28.0, 1.0, "Male", 0.0, 0.0, "never smoked")
RULES = SupportRules(SupportTables.model_validate(SUPPORT))

PLACES = st.builds(
    Place,
    age=st.floats(0, 120),
    avg_glucose_level=st.floats(20, 600) | st.just(math.nan),
    bmi=st.floats(8, 100) | st.just(math.nan),
    leverage=st.floats(0.1, 10),
    gender=st.sampled_from(GENDERS),
    hypertension=st.sampled_from([0.0, 1.0]),
    heart_disease=st.sampled_from([0.0, 1.0]),
    smoking_status=st.sampled_from(SMOKING_STATUSES),
)


def support(place: Place) -> Support:
    """Return what the loop and the columns say, which is the same."""
    [found] = RULES.of_patients([place.patient()], [place.leverage])
    assert by_columns([place]) == [found]
    return found


def by_columns(places: list[Place]) -> list[Support]:
    columns = {
        name: np.array(values, object if isinstance(values[0], str) else np.float64)
        for name, values in zip(Place._fields, zip(*places, strict=True), strict=True)
    }
    return RULES.of_columns(columns, columns["leverage"])


def moved(place: Place, name: str, value: float) -> Place:
    changes: dict[str, Any] = {name: value}
    return place._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"age": 2.0}, []),
        ({"age": 1.5}, [("few-as-low", ("age",), 50)]),
        ({"age": 0.5}, [("none-as-low", ("age",), None)]),
        ({"age": 81.0}, [("few-as-high", ("age",), 50)]),
        ({"age": 82.5}, [("none-as-high", ("age",), None)]),
        ({"avg_glucose_level": 160.0}, []),
        ({"avg_glucose_level": 161.0}, [("few-as-high-for", ("avg_glucose_level", "age"), 5)]),
        (
            {"avg_glucose_level": 211.0},
            [
                ("none-as-high-for", ("avg_glucose_level", "age"), None),
                ("few-as-high", ("avg_glucose_level",), 50),
            ],
        ),
        ({"bmi": 14.5}, [("few-as-low", ("bmi",), 50)]),
        (
            {"bmi": 11.0},
            [("none-as-low-for", ("bmi", "age"), None), ("few-as-low", ("bmi",), 50)],
        ),
        ({"bmi": math.nan, "avg_glucose_level": math.nan}, []),
        ({"gender": "Other"}, [("too-few-of-kind", ("gender",), 10)]),
        ({"smoking_status": "smokes"}, [("few-of-kind", ("smoking_status",), 50)]),
        ({"hypertension": 1.0}, []),
        ({"hypertension": 1.0, "age": 25.0}, [("few-of-kind-for", ("hypertension", "age"), 5)]),
        ({"hypertension": 1.0, "age": 10.0}, [("none-of-kind-for", ("hypertension", "age"), None)]),
        ({"leverage": 3.5}, [("rare-combination", (), None)]),
        ({"leverage": 7.5}, [("no-such-combination", (), None)]),
    ],
)
def test_each_rule_speaks_where_its_table_says_so(
    changes: dict[str, Any], found: list[tuple[str, tuple[str, ...], int | None]]
) -> None:
    found_support = support(TYPICAL._replace(**changes))
    assert [(r.code.value, r.features, r.fewer_than) for r in found_support.reasons] == found


@given(st.lists(PLACES, min_size=1, max_size=8))
def test_a_patient_has_the_same_support_in_any_company(places: list[Place]) -> None:
    together = RULES.of_patients([each.patient() for each in places], [p.leverage for p in places])
    assert together == by_columns(places) == [support(place) for place in places]


@given(PLACES)
def test_the_short_way_and_the_rules_agree(place: Place) -> None:
    """The rules once more, as plainly as they can be written."""
    year = min(int(place.age + 0.5), YEARS - 1)
    said: set[tuple[str, tuple[str, ...]]] = set()
    for name in ("age", "avg_glucose_level", "bmi"):
        value = getattr(place, name)
        reaches: list[Any] = [(SUPPORT["ranges"][name], "", (name,))]
        if name != "age":
            reaches.append((SUPPORT["by_age"][name][year], "-for", (name, "age")))
        for (lowest, low, high, highest), ending, features in reaches:
            if value < low:
                said.add((f"{'none' if value < lowest else 'few'}-as-low{ending}", features))
            if value > high:
                said.add((f"{'none' if value > highest else 'few'}-as-high{ending}", features))
    for name, kinds in SUPPORT["kinds"].items():
        count = kinds[getattr(place, name)]
        if count < SUPPORT["few_of_kind"]:
            few = count >= SUPPORT["too_few_of_kind"]
            said.add(("few-of-kind" if few else "too-few-of-kind", (name,)))
    count = SUPPORT["kinds_by_age"]["hypertension"][str(int(place.hypertension))][year]
    if count < SUPPORT["few_nearby"]:
        said.add((f"{'few' if count else 'none'}-of-kind-for", ("hypertension", "age")))
    if place.leverage > SUPPORT["leverage"]["rare"]:
        none = place.leverage > SUPPORT["leverage"]["highest"]
        said.add(("no-such-combination" if none else "rare-combination", ()))
    found = support(place)
    assert {(each.code.value, each.features) for each in found.reasons} == said
    assert len(found.reasons) == len(said)
    assert (found.level == SupportLevel.WITHIN) == (not said)


def test_where_few_had_a_value_at_all_few_had_one_as_low_and_few_as_high() -> None:
    sparse = {**SUPPORT, "by_age": {**SUPPORT["by_age"], "bmi": [(20, 30, 25, 40)] * YEARS}}
    rules = SupportRules(SupportTables.model_validate(sparse))
    [found] = rules.of_patients([TYPICAL.patient()], [1.0])
    assert [each.code.value for each in found.reasons] == ["few-as-low-for", "few-as-high-for"]


@given(PLACES, st.sampled_from(["avg_glucose_level", "bmi", "leverage"]), st.data())
def test_support_never_grows_as_a_value_moves_out(
    place: Place, name: str, data: st.DataObject
) -> None:
    value = getattr(place, name)
    assume(not math.isnan(value))
    middle = getattr(TYPICAL, name)
    assume(name != "leverage" or value >= middle)
    farther = data.draw(st.floats(value, 1000) if value >= middle else st.floats(0, value))
    near, far = support(place), support(moved(place, name, farther))
    assert RANK[far.level] >= RANK[near.level]


@given(PLACES, st.floats(0, 40))
def test_support_never_grows_with_age_beyond_the_training_data(place: Place, more: float) -> None:
    place = place._replace(age=80 + more)
    older = place._replace(age=80 + 2 * more)
    assert RANK[support(older).level] >= RANK[support(place).level]


@given(PLACES)
def test_support_of_a_missing_measurement_is_no_worse(place: Place) -> None:
    for name in ("avg_glucose_level", "bmi"):
        lacking = support(moved(place, name, math.nan))
        assert RANK[lacking.level] <= RANK[support(place).level]


def risk(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


SLOPE, BASE, REFERENCE = 0.05, -5.0, (0.3, -0.2)
COMPARISON = {
    "average": {
        "Female": [risk(BASE + SLOPE * year) for year in range(YEARS)],
        "Male": [risk(BASE + SLOPE * max(year, 10)) for year in range(YEARS)],
    },
    "reference_values": REFERENCE_VALUES,
    "reference_log_odds": REFERENCE,
}
COMPARISONS = Comparisons(ComparisonTables.model_validate(COMPARISON))


def compared(  # noqa: PLR0917 - the five values that a comparison is of
    gender: str,
    age: float,
    probability: float,
    kept: float,
    variant: int,
    by: Comparisons = COMPARISONS,
) -> Comparison:
    """Return what the loop and the columns say, which is the same."""
    who = TYPICAL._replace(gender=gender, age=age)
    [found] = by.of_patients([who.patient()], [probability], [kept], [variant])
    columns = {"gender": np.array([gender], object), "age": np.array([age])}
    [row] = by.of_columns(
        columns, np.array([probability]), np.array([kept]), np.array([variant])
    ).tolist()
    assert found == Comparison(*(None if math.isnan(each) else each for each in row))
    return found


@given(st.integers(0, YEARS - 1), st.floats(0.001, 0.999), st.floats(-9, 3), st.integers(0, 1))
def test_a_comparison_is_exact_where_the_model_is_known(
    age: int, probability: float, kept: float, variant: int
) -> None:
    found = compared("Female", float(age), probability, kept, variant)
    average, reference = risk(BASE + SLOPE * age), risk(kept + REFERENCE[variant])
    assert found.average_risk == pytest.approx(average, rel=1e-12)
    assert found.relative_to_average == pytest.approx(probability / average, rel=1e-12)
    assert found.reference_risk == pytest.approx(reference, rel=1e-12)
    assert found.relative_to_reference == pytest.approx(probability / reference, rel=1e-12)


@given(st.floats(0.001, YEARS - 1))
def test_the_age_of_equal_risk_is_where_the_average_has_that_risk(age: float) -> None:
    average = compared("Female", age, 0.1, 0.0, 0).average_risk
    assert average is not None
    assert compared("Female", 40.0, average, 0.0, 0).equal_age == pytest.approx(age, abs=1e-9)


@pytest.mark.parametrize(
    ("gender", "probability", "age"),
    [
        ("Female", risk(BASE) * 0.99, None),  # less than at any age
        ("Female", risk(BASE), None),  # as much as from the start
        ("Female", risk(BASE + SLOPE * 80), 80.0),
        ("Female", risk(BASE + SLOPE * 80.1), None),  # more than at any age
        ("Male", risk(BASE + SLOPE * 10), None),
        ("Male", risk(BASE + SLOPE * 11), 11.0),
        ("Other", 0.1, None),
    ],
)
def test_the_age_of_equal_risk_is_there_where_it_exists(
    gender: str, probability: float, age: float | None
) -> None:
    assert compared(gender, 40.0, probability, 0.0, 0).equal_age == age


def test_a_falling_average_counts_where_it_reaches_the_risk_first() -> None:
    averages = [0.2, 0.1, 0.3, 0.2, 0.4]
    tables = {**COMPARISON, "average": {"Female": averages}}
    by = Comparisons(ComparisonTables.model_validate(tables))
    ages = [compared("Female", 1.0, risk, 0.0, 0, by).equal_age for risk in (0.15, 0.25, 0.35)]
    assert ages == [None, pytest.approx(1.75), pytest.approx(3.75)]


def test_beyond_the_last_year_the_average_stays() -> None:
    last = compared("Male", YEARS - 1, 0.1, 0.0, 0)
    assert compared("Male", 119.5, 0.1, 0.0, 0) == last


def test_a_gender_that_was_too_rare_has_no_average() -> None:
    found = compared("Other", 50.0, 0.1, 0.0, 0)
    assert (found.average_risk, found.relative_to_average, found.equal_age) == (None, None, None)
    assert found.reference_risk == pytest.approx(risk(0.3))


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        (SupportTables, {"ranges": {"age": (0, 1, 2, 3)}}, "ranges are of"),
        (SupportTables, {"kinds": {"shoe_size": {"42": 1}}}, "unknown features"),
        (
            SupportTables,
            {"by_age": {"bmi": [(1, 2, 3, 4)], "avg_glucose_level": [(1, 2, 3, 4)] * 2}},
            "as many years",
        ),
        (SupportTables, {"kinds_by_age": {"hypertension": {"1": [5]}}}, "as many years"),
        (ComparisonTables, {"average": {"Robot": [0.1, 0.2]}}, "unknown genders"),
        (ComparisonTables, {"average": {"Male": [0.1, 1.2]}}, "between 0 and 1"),
        (ComparisonTables, {"average": {"Male": [0.1] * 3, "Female": [0.1] * 2}}, "as many years"),
        (ComparisonTables, {"reference_values": {"bmi": 22}}, "not those of this version"),
    ],
)
def test_tables_that_make_no_sense_are_refused(
    part: type[SupportTables | ComparisonTables], changes: dict[str, Any], words: str
) -> None:
    whole = SUPPORT if part is SupportTables else COMPARISON
    with pytest.raises(ValidationError, match=words):
        part.model_validate({**whole, **changes})
