"""A small change log, and what every analysis has to say of it, checked by hand.

Prediction 1 is updated twice, 3 is deleted, 6 becomes 5 (a key change: deleted and created), 4 is a
row of a table that was adopted, full of NULLs and of a schema without the model's version, 7 is
updated in a Kafka cluster that was made anew and counts from 0 again, and 8 sits on the edges of
the bands. Two events are stored twice. What is left: 1, 2, 4, 5, 7, 8.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from stroke.application.analyses.views import CHANGES, MISSING

OLD, NEW = "FirstClusterOf22Chars_", "SecondClusterOf22Chars"
SECOND = datetime(2026, 1, 2, 23, 59, 59, 999_999, tzinfo=UTC)
THIRD = datetime(2026, 1, 3, 0, 0, 0, 1, tzinfo=UTC)

Change = Mapping[str, Any]


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)


def _row(  # noqa: PLR0917
    at: datetime,
    gender: str,
    measured: tuple[float, int, int, float, float],
    smoking: str,
    place: tuple[str, str | None],
    risk: tuple[float, str, str, Sequence[str] | None],
) -> dict[str, Any]:
    age, hypertension, heart_disease, glucose, bmi = measured
    probability, category, version, factors = risk
    return {
        "timestamp_us": micros(at),
        "gender": gender,
        "age": age,
        "hypertension": hypertension,
        "heart_disease": heart_disease,
        "avg_glucose_level": glucose,
        "bmi": bmi,
        "smoking_status": smoking,
        "country": place[0],
        "province": place[1],
        "probability": probability,
        "risk_category": category,
        "model_version": version,
        "contributing_factors": None if factors is None else json.dumps(factors),
        "name": "Zyxwvut Patient",
    }


_ONE = _row(
    SECOND,
    "Male",
    (67.0, 0, 1, 228.69, 36.6),
    "formerly smoked",
    ("United States", "California"),
    (0.5, "High", "v2", ["age", "avg_glucose_level"]),
)
_TWO = _row(
    SECOND,
    "Female",
    (49.5, 0, 0, 90.0, 35.5),
    "never smoked",
    ("Canada", "Ontario"),
    (0.01, "Low", "v1", ["bmi"]),
)
_FIVE = _row(
    THIRD,
    "Female",
    (50.0, 1, 0, 85.0, 18.5),
    "smokes",
    ("Canada", "Ontario"),
    (0.05, "Medium", "v1", ["age"]),
)
_SEVEN = _row(
    THIRD,
    "Male",
    (79.9, 1, 1, 151.0, 24.9),
    "never smoked",
    ("Canada", "Québec"),
    (0.01, "Low", "v2", ["age", "bmi"]),
)
_EIGHT = _row(
    THIRD,
    "Other",
    (80.0, 0, 0, 70.0, 25.0),
    "Unknown",
    ("日本", None),
    (1.0, "High", "v1", None),
)
_BEFORE = {"probability": 0.9, "risk_category": "High", "country": "Nowhere"}


def _change(
    cluster: str, offset: int, op: str, number: int, row: Mapping[str, Any] | None = None
) -> Change:
    began = micros(THIRD) + (1_000_000 if cluster == NEW else 0)
    known = {
        "op": op,
        "prediction_id": number,
        "ts_us": began + offset,
        "cluster": cluster,
        "kafka_partition": 0,
        "place": offset,
        "turn": 0,
        **(row or {}),
    }
    return {name: known.get(name) for name in (*CHANGES, "name")}


EVENTS: Sequence[Change] = (
    _change(OLD, 100, "c", 1, _ONE | _BEFORE),
    _change(OLD, 101, "c", 2, _TWO),
    _change(OLD, 101, "c", 2, _TWO),  # stored twice
    _change(OLD, 102, "c", 3, _TWO | _BEFORE),
    _change(OLD, 103, "c", 6, _FIVE),
    _change(OLD, 104, "u", 1, _ONE | _BEFORE),
    _change(OLD, 104, "u", 1, _ONE | _BEFORE),  # and this one
    _change(OLD, 105, "d", 3),
    _change(OLD, 106, "d", 6),
    _change(OLD, 107, "c", 5, _FIVE),
    _change(OLD, 108, "r", 4),
    _change(OLD, 109, "c", 7, _SEVEN | _BEFORE),
    _change(OLD, 110, "c", 8, _EIGHT),
    _change(OLD, 111, "u", 1, _ONE),
    _change(NEW, 0, "u", 7, _SEVEN),
)

TRUTH: Mapping[str, Sequence[tuple[Any, ...]]] = {
    # op, events, predictions
    "operations": [("c", 7, 7), ("d", 2, 2), ("r", 1, 1), ("u", 3, 2)],
    # category, predictions, share, mean probability
    "risk-distribution": [
        ("Low", 2, 2 / 6, 0.01),
        ("Medium", 1, 1 / 6, 0.05),
        ("High", 2, 2 / 6, 0.75),
        (MISSING, 1, 1 / 6, None),
    ],
    # low, high, predictions
    "probability-histogram": [
        *((n / 20, (n + 1) / 20, {0: 2, 1: 1, 10: 1, 19: 1}.get(n, 0)) for n in range(20)),
        (None, None, 1),
    ],
    # group, predictions, share, mean probability, high
    "risk-by-gender": [
        (MISSING, 1, 1 / 6, None, 0),
        ("Female", 2, 2 / 6, 0.03, 0),
        ("Male", 2, 2 / 6, 0.255, 1),
        ("Other", 1, 1 / 6, 1.0, 1),
    ],
    "risk-by-age-group": [
        ("Young adult", 1, 1 / 6, 0.01, 0),
        ("Middle-aged", 3, 3 / 6, 0.56 / 3, 1),
        ("Very old", 1, 1 / 6, 1.0, 1),
        (MISSING, 1, 1 / 6, None, 0),
    ],
    "risk-by-country": [
        (MISSING, 1, 1 / 6, None, 0),
        ("Canada", 3, 3 / 6, 0.07 / 3, 0),
        ("United States", 1, 1 / 6, 0.5, 1),
        ("日本", 1, 1 / 6, 1.0, 1),
    ],
    "risk-by-province": [
        (MISSING, MISSING, 1, 1 / 6, None, 0),
        ("Canada", "Ontario", 2, 2 / 6, 0.03, 0),
        ("Canada", "Québec", 1, 1 / 6, 0.01, 0),
        ("United States", "California", 1, 1 / 6, 0.5, 1),
        ("日本", MISSING, 1, 1 / 6, 1.0, 1),
    ],
    "risk-by-hypertension-and-heart-disease": [
        (MISSING, MISSING, 1, 1 / 6, None, 0),
        ("0", "0", 2, 2 / 6, 0.505, 1),
        ("0", "1", 1, 1 / 6, 0.5, 1),
        ("1", "0", 1, 1 / 6, 0.05, 0),
        ("1", "1", 1, 1 / 6, 0.01, 0),
    ],
    "risk-by-bmi-category": [
        ("Healthy Weight", 2, 2 / 6, 0.03, 0),
        ("Overweight", 1, 1 / 6, 1.0, 1),
        ("Class 2 Obesity", 2, 2 / 6, 0.255, 1),
        (MISSING, 1, 1 / 6, None, 0),
    ],
    "risk-by-glucose-category": [
        ("Low Normal", 1, 1 / 6, 1.0, 1),
        ("Normal", 2, 2 / 6, 0.03, 0),
        ("Diabetic", 2, 2 / 6, 0.255, 1),
        (MISSING, 1, 1 / 6, None, 0),
    ],
    "risk-by-smoking-status": [
        (MISSING, 1, 1 / 6, None, 0),
        ("Unknown", 1, 1 / 6, 1.0, 1),
        ("formerly smoked", 1, 1 / 6, 0.5, 1),
        ("never smoked", 2, 2 / 6, 0.01, 0),
        ("smokes", 1, 1 / 6, 0.05, 0),
    ],
    # factor, predictions, named first
    "contributing-factors": [("age", 3, 3), ("bmi", 2, 1), ("avg_glucose_level", 1, 0)],
    # id, and then the columns of ``PATIENT``
    "latest-snapshot": [(1,), (2,), (4,), (5,), (7,), (8,)],
    "top-risks": [(8,), (1,)],
    "merits-review": [(2,), (7,)],
    # day, predictions, high, mean probability
    "trend-per-day": [
        (date(2026, 1, 2), 2, 1, 0.255),
        (date(2026, 1, 3), 3, 1, 1.06 / 3),
        (None, 1, 0, None),
    ],
    "model-versions": [
        (MISSING, 1, 1 / 6, None, 0),
        ("v1", 3, 3 / 6, 1.06 / 3, 1),
        ("v2", 2, 2 / 6, 0.255, 1),
    ],
}
"""The first columns of each analysis's rows, with ``top=2`` and ``minimum=1``."""


def latest_of(changes: Sequence[Change]) -> dict[int, Change]:
    """Return the last event of each id that is not deleted, found the simple way."""
    began: dict[str, int] = {}
    for change in changes:
        cluster = change["cluster"]
        began[cluster] = min(change["ts_us"], began.get(cluster, change["ts_us"]))
    latest: dict[int, Change] = {}
    for change in sorted(changes, key=lambda c: (began[c["cluster"]], c["place"], c["turn"])):
        latest[change["prediction_id"]] = change
    return {number: change for number, change in latest.items() if change["op"] != "d"}
