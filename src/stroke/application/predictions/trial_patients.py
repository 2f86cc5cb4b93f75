"""Made-up patients on whom a model is tried before anyone relies on it.

Trees split half-way between the values that people write down, tables end at their last entry,
and a loop may count up to an age: where models break is at boundaries, so these come in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stroke.domain.features import AGE_GROUPS, BMI_CATEGORIES, GLUCOSE_CATEGORIES, RAW_FEATURES
from stroke.domain.further import FeatureKind, Further, FurtherFeature
from stroke.domain.patient import (
    AGE,
    AVG_GLUCOSE_LEVEL,
    BMI,
    GENDERS,
    OPTIONAL,
    SMOKING_STATUSES,
    Range,
)

TrialPatients = dict[str, NDArray[Any]]
"""The raw and the further features, ``(N,)`` each: text as objects, numbers as float64."""

TRIAL_PATIENTS: Final = 5_000
"""How many random patients a verification takes, in addition to those at boundaries."""

_SEED: Final = 7
_SEED_OF_FURTHER: Final = 8
_ENDS: Final = 2  # of a number; further categories come by chance
_BETWEEN: Final = 40
_MISSING_PATIENTS: Final = 60
_MEASUREMENTS: Final = {
    "age": (AGE, AGE_GROUPS.cuts),
    "avg_glucose_level": (AVG_GLUCOSE_LEVEL, GLUCOSE_CATEGORIES.cuts),
    "bmi": (BMI, BMI_CATEGORIES.cuts),
}
_HALVES: Final = {
    "age": np.arange(0.5, 120, 1.0),
    "avg_glucose_level": np.round(np.arange(50.005, 250, 0.77), 3),
    "bmi": np.round(np.arange(12.05, 60, 0.1), 2),
}
_EXTREMES: Final[dict[str, tuple[Any, ...]]] = {
    "gender": GENDERS,
    "age": (AGE.low, AGE.high),
    "hypertension": (0.0, 1.0),
    "heart_disease": (0.0, 1.0),
    "avg_glucose_level": (AVG_GLUCOSE_LEVEL.low, AVG_GLUCOSE_LEVEL.high),
    "bmi": (BMI.low, BMI.high),
    "smoking_status": SMOKING_STATUSES,
}


def extreme_patients(further: Further = ()) -> TrialPatients:
    """Return every combination of each measurement's two ends, both flags and all categories.

    They have extremes of ``further`` features by turns.
    """
    rows = list(product(*(_EXTREMES[name] for name in RAW_FEATURES)))
    made = {
        name: np.array(values, dtype=object if isinstance(values[0], str) else np.float64)
        for name, values in zip(RAW_FEATURES, zip(*rows, strict=True), strict=True)
    }
    stream = np.random.default_rng(_SEED_OF_FURTHER)
    return made | {
        each.name: _one_of(stream, len(rows), _boundaries(each)[:_ENDS]) for each in further
    }


def trial_patients(
    count: int, may_be_missing: Sequence[str] = (), further: Further = ()
) -> TrialPatients:
    """Return ``count`` random patients over all plausible values, then those at boundaries.

    Those are all combinations of extremes, and for each measurement both ends of its range, each
    cut of its bands with its neighbours in 64 and 32 bits, each whole number, and the values
    half-way between those that people write down, four patients each. Last come patients who lack
    measurements (NaN): for each combination of those that ``may_be_missing``, the extremes and a
    tenth of ``count``. All of them have values of the ``further`` features, and for each of these
    more patients have its boundaries, its categories and, where it may be missing, no value. The
    same call gives the same patients, and their raw features do not depend on ``further``.
    """
    stream = np.random.default_rng(_SEED)
    parts = [_random(stream, count), extreme_patients()]
    for name, (plausible, cuts) in _MEASUREMENTS.items():
        values = sorted(set(_values(plausible, cuts, _HALVES[name])))
        some = _random(stream, 4 * len(values))
        some[name] = np.repeat(np.array(values, dtype=np.float64), 4)
        parts.append(some)
    for missing in combinations_of(may_be_missing):
        parts += [
            _without(missing, some) for some in (extreme_patients(), _random(stream, count // 10))
        ]
    made = {name: np.concatenate([part[name] for part in parts]) for name in RAW_FEATURES}
    return _with_further(made, further) if further else made


def _with_further(patients: TrialPatients, further: Further) -> TrialPatients:
    """Add values of ``further`` features to ``patients``, and patients at their boundaries."""
    made = with_values_of(patients, further)
    stream = np.random.default_rng(_SEED_OF_FURTHER)
    parts = [made]
    for each in further:
        values = _boundaries(each)
        if each.may_be_missing:
            values = [*values, *_gaps(each)]
        chosen = stream.integers(0, len(patients["age"]), 4 * len(values))
        some = {name: column[chosen] for name, column in made.items()}
        some[each.name] = np.repeat(_array(each, values), 4)
        parts.append(some)
    return {name: np.concatenate([part[name] for part in parts]) for name in made}


def with_values_of(patients: TrialPatients, further: Further) -> TrialPatients:
    """Return ``patients`` with random values of ``further`` features: always the same ones."""
    stream = np.random.default_rng(_SEED_OF_FURTHER)
    return patients | {
        each.name: _random_values(stream, len(patients["age"]), each) for each in further
    }


def _boundaries(feature: FurtherFeature) -> list[Any]:
    """Return its categories or its ends, which come first; of a number also values between."""
    if feature.is_text:
        return list(feature.categories)
    if feature.kind is FeatureKind.FLAG:
        return [0.0, 1.0]
    low, high = feature.low, feature.high
    between = np.linspace(low, high, _BETWEEN).tolist()
    whole = np.unique(np.round(between))
    halves = (value for value in (*whole, *(whole + 0.5)) if low <= value <= high)
    near = (np.nextafter(low, high), np.nextafter(high, low))
    return [low, high, *map(float, near), *between, *map(float, halves)]


def _gaps(feature: FurtherFeature) -> list[Any]:
    return ["" if feature.is_text else np.nan] * _MISSING_PATIENTS


def _random_values(
    stream: np.random.Generator, count: int, feature: FurtherFeature
) -> NDArray[Any]:
    if feature.kind is not FeatureKind.NUMBER:
        return _one_of(stream, count, _boundaries(feature))
    return np.round(stream.uniform(feature.low, feature.high, count), 2).clip(
        feature.low, feature.high
    )


def _one_of(stream: np.random.Generator, count: int, values: list[Any]) -> NDArray[Any]:
    kind = object if isinstance(values[0], str) else np.float64
    return stream.choice(np.array(values, dtype=kind), count)


def _array(feature: FurtherFeature, values: list[Any]) -> NDArray[Any]:
    return np.array(values, dtype=object if feature.is_text else np.float64)


def _without(missing: Sequence[str], patients: TrialPatients) -> TrialPatients:
    return patients | {name: np.full(len(patients["age"]), np.nan) for name in missing}


def combinations_of(may_be_missing: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every set of measurements that patients may lack, smaller ones first."""
    names = [name for name in OPTIONAL if name in may_be_missing]
    return [each for count in range(len(names)) for each in combinations(names, count + 1)]


def _values(
    plausible: Range, cuts: tuple[float, ...], halves: NDArray[np.float64]
) -> Iterator[float]:
    for cut in (plausible.low, *cuts, plausible.high):
        single = np.float32(cut)
        for value in (
            cut,
            *(np.nextafter(cut, end) for end in (-np.inf, np.inf)),
            *(np.nextafter(single, np.float32(end)) for end in (-np.inf, np.inf)),
        ):
            if float(value) in plausible:
                yield float(value)
    yield from (float(value) for value in halves if value in plausible)
    yield from map(float, range(int(plausible.low), int(plausible.high) + 1))


def _random(stream: np.random.Generator, count: int) -> TrialPatients:
    return {
        "gender": stream.choice(np.array(GENDERS, dtype=object), count),
        "age": np.round(stream.uniform(AGE.low, AGE.high, count), 1),
        "hypertension": stream.integers(0, 2, count).astype(np.float64),
        "heart_disease": stream.integers(0, 2, count).astype(np.float64),
        "avg_glucose_level": np.round(
            stream.uniform(AVG_GLUCOSE_LEVEL.low, AVG_GLUCOSE_LEVEL.high, count), 2
        ),
        "bmi": np.round(stream.uniform(BMI.low, BMI.high, count), 1),
        "smoking_status": stream.choice(np.array(SMOKING_STATUSES, dtype=object), count),
    }
