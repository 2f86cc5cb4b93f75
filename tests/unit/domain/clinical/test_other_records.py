"""Charts that others make, read by our mapping and by FHIRPath: both must find the same values."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import carebundle
import pytest

from builders.synthea import kept_records
from components.fhirpath_reading import same


@pytest.mark.parametrize("profile", sorted(carebundle.PROFILES))
def test_a_chart_of_carebundle_says_the_same_to_both(profile: str) -> None:
    made = carebundle.generate_bundle(profile=profile, seed=7, sex="M")

    values = same(json.loads(carebundle.to_json(made)))

    assert {"bmi", "avg_glucose_level"} <= set(values)
    if profile in ("healthy", "hypertension"):  # others may have it, too
        assert values["hypertension"] == int(profile == "hypertension")


@pytest.mark.soak("a hundred charts")
@pytest.mark.parametrize("seed", range(20))
def test_many_charts_of_carebundle_say_the_same_to_both(seed: int) -> None:
    for profile in sorted(carebundle.PROFILES):
        sex = "FM"[seed % 2]
        made = carebundle.generate_bundle(profile=profile, seed=seed, sex=sex, age_range=(40, 90))
        same(json.loads(carebundle.to_json(made)))


RECORDS = kept_records()


@cache
def values_of(number: int) -> dict[str, Any]:
    return same(RECORDS[number])


@pytest.mark.parametrize("number", range(len(RECORDS)))
def test_a_record_of_synthea_says_the_same_to_both(number: int) -> None:
    assert {"gender", "age", "hypertension"} <= set(values_of(number))


def test_the_records_of_synthea_hold_what_a_reading_can_get_wrong() -> None:
    text = json.dumps(RECORDS)
    for each in ("5792-7", "2339-0", "39156-5", "29463-7", "encounter-diagnosis", "urn:uuid:"):
        assert each in text, each
    values = [values_of(number) for number in range(len(RECORDS))]
    for feature in ("hypertension", "heart_disease"):
        assert {each[feature] for each in values} == {0, 1}
    assert any("avg_glucose_level" not in each for each in values)
