"""Holds an exported graph against the model it was made from, row by row."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnxruntime as ort
import pandas as pd
from numpy.typing import NDArray

from stroke.domain.errors import ConversionMismatch
from stroke.domain.features import (
    AGE_GROUPS,
    BMI_CATEGORIES,
    GLUCOSE_CATEGORIES,
)
from stroke.domain.patient import AGE, AVG_GLUCOSE_LEVEL, BMI, GENDERS, SMOKING_STATUSES, Range

Floats = NDArray[np.float64]

_SEED: Final = 7
_DTYPES: Final[dict[str, Any]] = {
    "tensor(string)": np.object_,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
}
_CUTS: Final = {
    "age": (AGE, AGE_GROUPS.cuts),
    "avg_glucose_level": (AVG_GLUCOSE_LEVEL, GLUCOSE_CATEGORIES.cuts),
    "bmi": (BMI, BMI_CATEGORIES.cuts),
}
_HALVES: Final = {
    "age": np.arange(0.5, 120, 1.0),
    "avg_glucose_level": np.round(np.arange(50.005, 250, 0.77), 3),
    "bmi": np.round(np.arange(12.05, 60, 0.1), 2),
}


def probe_patients(count: int) -> pd.DataFrame:
    """Return ``count`` random patients over all plausible values, then boundary patients.

    Boundaries: both ends of each range, each band's cut and its neighbours in 64 and 32 bits, and
    the values half-way between those that people write down, which is where trees split.
    The same call gives the same patients.
    """
    stream = np.random.default_rng(_SEED)
    random = _random(stream, count)
    edges = []
    for name, (plausible, cuts) in _CUTS.items():
        for value in _around(plausible, cuts, _HALVES[name]):
            some = _random(stream, 4)
            some[name] = value
            edges.append(some)
    return pd.concat([random, *edges], ignore_index=True)


def _around(plausible: Range, cuts: tuple[float, ...], halves: Floats) -> list[float]:
    values = {plausible.low, plausible.high}
    for cut in cuts:
        values |= {cut, float(np.nextafter(cut, -np.inf)), float(np.nextafter(cut, np.inf))}
        single = np.float32(cut)
        values |= {
            float(np.nextafter(single, np.float32(-np.inf))),
            float(np.nextafter(single, np.float32(np.inf))),
        }
    values |= {float(value) for value in halves if value in plausible}
    return sorted(value for value in values if value in plausible)


def _random(stream: np.random.Generator, count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
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
    )


def compare(
    patients: pd.DataFrame,
    wanted: Floats,
    got: Floats,
    *,
    tolerance: float,
) -> float:
    """Return the largest difference between ``wanted`` and ``got``, the original's and the
    graph's probabilities of ``patients``.

    Raises ``ConversionMismatch`` naming the worst patient when it is over ``tolerance``; these
    patients are made up, so their values may be shown.
    """
    difference = np.where(np.isfinite(got), np.abs(wanted - got), np.inf)
    worst = int(difference.argmax())
    if difference[worst] > tolerance:
        case = ", ".join(f"{name}={patients.iloc[worst][name]}" for name in patients.columns)
        raise ConversionMismatch(
            f"the graph differs from the original by {difference[worst]:.3g} (allowed "
            f"{tolerance:g}): original {wanted[worst]:.9g}, graph {got[worst]:.9g}, for {case}",
            float(difference[worst]),
        )
    return float(difference[worst])


def with_engineered(patients: pd.DataFrame) -> pd.DataFrame:
    """Return ``patients`` with the engineered features added."""
    return patients.assign(
        age_group=[AGE_GROUPS.label(value) for value in patients["age"]],
        bmi_category=[BMI_CATEGORIES.label(value) for value in patients["bmi"]],
        glucose_category=[GLUCOSE_CATEGORIES.label(v) for v in patients["avg_glucose_level"]],
        age_hypertension=patients["age"] * patients["hypertension"],
    )


def run_graph(content: bytes, outputs: list[str], patients: pd.DataFrame) -> list[Floats]:
    """Run a graph and return ``outputs``, ``(N, k)`` each. Columns of ``patients`` feed inputs.

    Raises ``ConversionMismatch`` when onnxruntime cannot load or run it.
    """
    try:
        session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
        feed: dict[str, Any] = {
            put.name: patients[put.name].to_numpy(_DTYPES[put.type])[:, None]
            for put in session.get_inputs()
        }
        return list(session.run(outputs, feed))
    except Exception as error:  # onnxruntime's errors have no common ancestor
        raise ConversionMismatch("onnxruntime cannot run the graph") from error
