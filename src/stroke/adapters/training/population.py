"""What the training data were like, in tables: whom a model knows, and the average of its risks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from stroke.adapters.training.data import LabelledPatients
from stroke.application.quality.calibration import Floats
from stroke.domain.comparison import REFERENCE_VALUES
from stroke.domain.features import RAW_FEATURES
from stroke.domain.patient import OPTIONAL

FEW_SHARE: Final = 0.01  # of the patients: fewer with values at least as extreme are few
FEW_OF_KIND: Final = 50
TOO_FEW_OF_KIND: Final = 10
FEW_NEARBY: Final = 5  # of those of about the same age
NEARBY_YEARS: Final = 5.0
FEWEST_NEARBY: Final = 200  # the nearest in age, where fewer are within the years
RARE_LEVERAGE: Final = 0.99  # quantile of the training patients' leverages
_MEASURED: Final = ("age", *OPTIONAL)
_KINDS: Final = ("gender", "hypertension", "heart_disease", "smoking_status")
_KINDS_BY_AGE: Final = _KINDS[1:]  # both genders are of every age
_DIGITS: Final = 10

Score = Callable[[pd.DataFrame], Floats]
"""Returns the probabilities ``(N,)`` of patients ``(N, 7)``, who may lack what is optional."""


def support_tables(features: pd.DataFrame, leverage: Floats) -> dict[str, Any]:
    """Return how far the values of the patients ``features (N, 7)`` reach, as a manifest has it.

    ``leverage (N,)`` is in multiples of its mean. Each row of four values is: the lowest one, the
    one that few are below, the one that few are above, the highest one.
    """
    few = max(1, round(FEW_SHARE * len(features)))
    age = features["age"].to_numpy(np.float64)
    years = range(int(age.max()) + 1)
    return {
        "few": few,
        "few_nearby": FEW_NEARBY,
        "few_of_kind": FEW_OF_KIND,
        "too_few_of_kind": TOO_FEW_OF_KIND,
        "nearby_years": NEARBY_YEARS,
        "ranges": {name: _reach(_known(features[name]), few) for name in _MEASURED},
        "by_age": {
            name: [
                _reach(_known(features[name][nearby(age, year, FEWEST_NEARBY)]), FEW_NEARBY)
                for year in years
            ]
            for name in OPTIONAL
        },
        "kinds": {name: _counts(features[name]) for name in _KINDS},
        "kinds_by_age": {
            name: {
                kind: [
                    int((kinds[nearby(age, year, FEWEST_NEARBY)] == kind).sum()) for year in years
                ]
                for kind in np.unique(kinds).tolist()
            }
            for name in _KINDS_BY_AGE
            for kinds in [np.array(_kinds(features[name]))]
        },
        "leverage": {
            "rare": _portable(float(np.quantile(leverage, RARE_LEVERAGE))),
            "highest": _portable(float(leverage.max())),
        },
    }


def comparison_tables(
    features: pd.DataFrame, score: Score, reference_log_odds: list[float]
) -> dict[str, Any]:
    """Return the average risk by gender and whole year of age, and the reference, for a manifest.

    The average at an age is over the training patients of the gender who are within
    ``NEARBY_YEARS`` of it (or the ``FEWEST_NEARBY`` nearest ones), each of them taken to be of just
    this age: it is marginal over their other values. A gender with fewer patients has none.
    ``reference_log_odds`` is, for each variant of the model, the sum of the contributions of
    ``REFERENCE_VALUES``.
    """
    average: dict[str, list[float]] = {}
    years = range(int(features["age"].max()) + 1)
    for gender, count in _counts(features["gender"]).items():
        if count < FEWEST_NEARBY:
            continue
        people = features[features["gender"] == gender]
        age = people["age"].to_numpy(np.float64)
        groups = [
            people[nearby(age, year, FEWEST_NEARBY)].assign(age=float(year)) for year in years
        ]
        risks = np.split(
            score(pd.concat(groups, ignore_index=True)),
            np.cumsum([len(group) for group in groups])[:-1],
        )
        average[gender] = [_portable(float(risk.mean())) for risk in risks]
    return {
        "average": average,
        "reference_values": dict(REFERENCE_VALUES),
        "reference_log_odds": [_portable(value) for value in reference_log_odds],
    }


def nearby(age: Floats, year: float, fewest: int) -> Any:
    """Return which of the patients with ``age (N,)`` are near ``year``: a mask ``(N,)``."""
    distance = np.abs(age - year)
    fewest = min(fewest, len(age))
    reach = max(NEARBY_YEARS, float(np.partition(distance, fewest - 1)[fewest - 1]))
    return distance <= reach


def population_counts(data: LabelledPatients) -> dict[str, dict[str, dict[str, int]]]:
    """Return how many patients of each gender, smoking status and age band, and their strokes."""
    outcome = pd.Series(data.outcome, index=data.features.index)
    return {
        name: {
            str(value): {"patients": int(group.size), "strokes": int(group.sum())}
            for value, group in outcome.groupby(column, observed=True, sort=True)
        }
        for name, column in groups_of(data).items()
    }


def groups_of(data: LabelledPatients) -> dict[str, pd.Series[Any]]:
    """Return the level of each patient in each way to group them."""
    bands = pd.cut(data.features["age"], [*_AGE_CUTS, np.inf], right=False, labels=_AGE_BANDS)
    return {
        "gender": data.features["gender"],
        "smoking_status": data.features["smoking_status"],
        "age_band": bands,
    }


_AGE_CUTS: Final = (0, 18, 35, 50, 65, 75)
_AGE_BANDS: Final = ("0-17", "18-34", "35-49", "50-64", "65-74", "75+")


def _reach(values: Floats, few: int) -> list[float]:
    ordered = np.sort(values)
    place = min(few, len(ordered)) - 1
    return [float(ordered[at]) for at in (0, place, -1 - place, -1)]


def _known(values: pd.Series[Any]) -> Floats:
    known: Floats = values.dropna().to_numpy(np.float64)
    return known


def _counts(values: pd.Series[Any]) -> dict[str, int]:
    labels, counts = np.unique(_kinds(values), return_counts=True)
    return {str(label): int(count) for label, count in zip(labels, counts, strict=True)}


def _kinds(values: pd.Series[Any]) -> list[str]:
    return [value if isinstance(value, str) else str(int(value)) for value in values]


def _portable(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def reference_people(features: pd.DataFrame) -> pd.DataFrame:
    """Return one patient with the reference values; the rest is the first patient's."""
    further = [name for name in features.columns if name not in RAW_FEATURES]
    return features.iloc[:1].assign(**REFERENCE_VALUES)[[*RAW_FEATURES, *further]]
