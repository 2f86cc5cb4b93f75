"""A patient as the model sees one: seven measurements, two of which may be missing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, fields
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final, Literal, get_args

from stroke.domain.errors import InvalidPatient, Violation

Gender = Literal["Male", "Female", "Other"]
SmokingStatus = Literal["never smoked", "formerly smoked", "smokes", "Unknown"]

GENDERS: Final[tuple[str, ...]] = get_args(Gender)
SMOKING_STATUSES: Final[tuple[str, ...]] = get_args(SmokingStatus)


@dataclass(frozen=True, slots=True)
class Range:
    """Closed range of values that a living human can plausibly have."""

    low: float
    high: float
    unit: str

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()


# Wider than any clinical reference range on purpose: they catch slips of the keyboard and of
# the unit (mmol/L for mg/dL, an age in months), not unusual patients.
AGE: Final = Range(0, 120, "years")
AVG_GLUCOSE_LEVEL: Final = Range(20, 600, "mg/dL")
BMI: Final = Range(8, 100, "kg/m²")

OPTIONAL: Final = ("avg_glucose_level", "bmi")
"""Measurements that a patient may lack (None), where the served model can do without them."""

# Lengths of the columns that existing deployments have, in code points.
NAME_LENGTH: Final = 100
COUNTRY_LENGTH: Final = 50
PROVINCE_LENGTH: Final = 50

FurtherValues = tuple[tuple[str, float | int | str | None], ...]
"""Values of the features that a model declares for itself, by name; None where one is missing."""

_NO_NUMBER: Final = "must be a number"

# C0, DEL and C1 controls, and the lone surrogates that no encoding can store.
_UNPRINTABLE: Final = re.compile("[\u0000-\u001f\u007f-\u009f\ud800-\udfff]")


def flag_of(value: object) -> int | None:
    """Return the flag (0 or 1) that a number is, or None for everything else.

    This is the one rule for flags, wherever they come from: exactly 0 or 1, and 0.0 and 1.0 are
    the same numbers. Nothing is rounded. A bool is no number here: what has its own way to write
    a flag (JSON's ``true``, the word "yes") decides itself if it takes that.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    if isinstance(value, Decimal) and not value.is_finite():  # a signalling NaN compares with none
        return None
    return int(value) if value in (0, 1) else None


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient's measurements.

    ``age`` in years, ``avg_glucose_level`` in mg/dL, ``bmi`` in kg/m²; ``hypertension`` and
    ``heart_disease`` are 0 or 1. The measurements in ``OPTIONAL`` are None where they are missing.
    ``name``, ``country`` and ``province`` take no part in the score. Raises ``InvalidPatient``
    naming every field that is not plausible.
    """

    gender: str
    age: float
    hypertension: int
    heart_disease: int
    avg_glucose_level: float | None
    bmi: float | None
    smoking_status: str
    name: str = ""
    country: str = ""
    province: str = ""

    def __post_init__(self) -> None:
        # One expression for the patients that are fine, which is nearly all of them.
        if not (
            type(self.age) is float
            and type(self.hypertension) is int
            and type(self.heart_disease) is int
            and 0.0 <= self.age <= AGE.high
            and _is_measured_or_missing(self.avg_glucose_level, AVG_GLUCOSE_LEVEL)
            and _is_measured_or_missing(self.bmi, BMI)
            and 0 <= self.hypertension <= 1
            and 0 <= self.heart_disease <= 1
            and self.gender in GENDERS
            and self.smoking_status in SMOKING_STATUSES
            and type(self.name) is type(self.country) is type(self.province) is str
            and len(self.name) <= NAME_LENGTH
            and len(self.country) <= COUNTRY_LENGTH
            and len(self.province) <= PROVINCE_LENGTH
            and self.name.isprintable()
            and self.country.isprintable()
            and self.province.isprintable()
        ):
            self._normalise()

    @property
    def further(self) -> FurtherValues:
        """Values of features that a model declares for itself: see ``ExtendedPatient``."""
        return ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The measurements that the patient lacks, in the order of ``OPTIONAL``."""
        if self.bmi is not None and self.avg_glucose_level is not None:
            return ()
        return tuple(name for name in OPTIONAL if getattr(self, name) is None)

    def _normalise(self) -> None:
        """Take whole numbers for measurements, or say everything that is wrong."""
        violations = [
            *_number("age", self.age, AGE),
            *_optional("avg_glucose_level", self.avg_glucose_level, AVG_GLUCOSE_LEVEL),
            *_optional("bmi", self.bmi, BMI),
            *_flag("hypertension", self.hypertension),
            *_flag("heart_disease", self.heart_disease),
            *_choice("gender", self.gender, GENDERS),
            *_choice("smoking_status", self.smoking_status, SMOKING_STATUSES),
            *_text("name", self.name, NAME_LENGTH),
            *_text("country", self.country, COUNTRY_LENGTH),
            *_text("province", self.province, PROVINCE_LENGTH),
        ]
        if violations:
            raise InvalidPatient(tuple(violations))
        for field in ("age", "avg_glucose_level", "bmi"):
            if (value := getattr(self, field)) is not None:
                object.__setattr__(self, field, float(value))


@dataclass(frozen=True, slots=True)
class ExtendedPatient(Patient):
    """A patient with values of the features that the served model declares (``domain.further``).

    Whoever makes one has judged them by their declarations.
    """

    further: FurtherValues = ()


COLUMNS: Final = tuple(each.name for each in fields(Patient))
"""What is stored of every patient, in this order; features that a model declares come besides."""

values_of_columns: Final[Callable[[Patient], tuple[Any, ...]]] = attrgetter(*COLUMNS)
"""Returns a patient's values of ``COLUMNS``."""


def extended(patient: Patient, further: FurtherValues) -> Patient:
    """Return ``patient`` with the ``further`` values; the same object where there is none."""
    if not further:
        return patient
    return ExtendedPatient(*(*values_of_columns(patient), further))


def lacking(missing: Iterable[str], may_be_missing: Container[str]) -> tuple[Violation, ...]:
    """Return a violation for each of the ``missing`` measurements that must not be missing."""
    return tuple(Violation(name, _NO_NUMBER) for name in missing if name not in may_be_missing)


def _is_measured_or_missing(value: object, plausible: Range) -> bool:
    return value is None or (type(value) is float and plausible.low <= value <= plausible.high)


def _optional(field: str, value: object, plausible: Range) -> list[Violation]:
    return [] if value is None else _number(field, value, plausible)


def _number(field: str, value: object, plausible: Range) -> list[Violation]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return [Violation(field, _NO_NUMBER)]
    if isinstance(value, float) and not math.isfinite(value):
        return [Violation(field, "must be a finite number")]
    return [] if value in plausible else [Violation(field, f"must be {plausible}")]


def _flag(field: str, value: object) -> list[Violation]:
    valid = isinstance(value, int) and flag_of(value) is not None
    return [] if valid else [Violation(field, "must be 0 or 1")]


def _choice(field: str, value: object, choices: tuple[str, ...]) -> list[Violation]:
    if isinstance(value, str) and value in choices:
        return []
    return [Violation(field, f"must be one of {', '.join(map(repr, choices))}")]


def holds_controls(text: str) -> bool:
    """Return whether ``text`` has a control character, or half of a pair of surrogates.

    Joiners and marks of direction are none: names in Persian, Hindi or Arabic may need them.
    """
    return _UNPRINTABLE.search(text) is not None


def _text(field: str, value: object, length: int) -> list[Violation]:
    if not isinstance(value, str):
        return [Violation(field, "must be text")]
    if len(value) > length:
        return [Violation(field, f"must have at most {length} characters")]
    if holds_controls(value):
        return [Violation(field, "must not contain control characters")]
    return []
