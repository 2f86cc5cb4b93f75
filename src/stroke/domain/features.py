"""Features derived from a patient's measurements: bands that clinicians speak in.

All bands are closed on the left: a BMI of 25.0 is "Overweight".
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypedDict, get_args

from stroke.domain.errors import Violation
from stroke.domain.patient import Patient

AgeGroup = Literal["Young adult", "Middle-aged", "Very old"]
BmiCategory = Literal[
    "Underweight",
    "Healthy Weight",
    "Overweight",
    "Class 1 Obesity",
    "Class 2 Obesity",
    "Class 3 Obesity",
]
GlucoseCategory = Literal[
    "Hypoglycemia",
    "Low Normal",
    "Normal",
    "Elevated",
    "Pre-diabetic",
    "Borderline Diabetic",
    "Diabetic",
]

RAW_FEATURES: Final = (
    "gender",
    "age",
    "hypertension",
    "heart_disease",
    "avg_glucose_level",
    "bmi",
    "smoking_status",
)
ENGINEERED_FEATURES: Final = (
    "age_group",
    "bmi_category",
    "glucose_category",
    "age_hypertension",
)
FEATURES: Final = RAW_FEATURES + ENGINEERED_FEATURES
TEXT_FEATURES: Final = frozenset(
    {"gender", "smoking_status", "age_group", "bmi_category", "glucose_category"}
)


@dataclass(frozen=True, slots=True)
class Bands:
    """Left-closed bands: ``labels[i]`` holds from ``cuts[i - 1]`` up to, not with, ``cuts[i]``."""

    cuts: tuple[float, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.cuts) + 1 or list(self.cuts) != sorted(set(self.cuts)):
            raise ValueError("bands need rising cuts and one label more than cuts")

    def label(self, value: float) -> str:
        """Return the label of the band that holds ``value`` (finite)."""
        return self.labels[bisect_right(self.cuts, value)]


AGE_GROUPS: Final = Bands((50, 80), get_args(AgeGroup))
DERIVED_FROM: Final = {"bmi_category": "bmi", "glucose_category": "avg_glucose_level"}
"""Which measurement that may be missing an engineered feature cannot be derived without."""

# WHO's adult BMI classes (WHO Technical Report Series 894, 2000).
BMI_CATEGORIES: Final = Bands((18.5, 25, 30, 35, 40), get_args(BmiCategory))
GLUCOSE_CATEGORIES: Final = Bands((70, 85, 100, 110, 126, 140), get_args(GlucoseCategory))


class EngineeredFeatures(TypedDict):
    """The four features that the service derives; None where the measurement is missing."""

    age_group: str
    bmi_category: str | None
    glucose_category: str | None
    age_hypertension: float


def engineer(patient: Patient) -> EngineeredFeatures:
    """Return the engineered features of ``patient``."""
    return {
        "age_group": AGE_GROUPS.label(patient.age),
        "bmi_category": _label(BMI_CATEGORIES, patient.bmi),
        "glucose_category": _label(GLUCOSE_CATEGORIES, patient.avg_glucose_level),
        "age_hypertension": patient.age * patient.hypertension,
    }


def _label(bands: Bands, value: float | None) -> str | None:
    return None if value is None else bands.label(value)


def disagreements(patient: Patient, claimed: Mapping[str, object]) -> tuple[Violation, ...]:
    """Return a violation for every engineered feature in ``claimed`` that is not the patient's.

    Clients of the service before this one send the features that they derived themselves; a
    difference means that the two sides no longer speak of the same patient. ``None`` claims
    nothing. ``age_hypertension`` may differ by what 32-bit arithmetic rounds (1e-6).
    """
    violations = []
    for feature, derived in engineer(patient).items():
        claim = claimed.get(feature)
        if claim is None:
            continue
        if isinstance(claim, (int, float)) and isinstance(derived, float):
            agrees = math.isclose(claim, derived, rel_tol=1e-6, abs_tol=1e-9)
        else:
            agrees = claim == derived
        if not agrees:
            violations.append(Violation(feature, "disagrees with the measurements"))
    return tuple(violations)
