"""Holds an exported graph against the model it was made from, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnxruntime as ort
import pandas as pd
from numpy.typing import NDArray

from stroke.application.predictions import trial_patients as patients
from stroke.domain.errors import ConversionMismatch
from stroke.domain.features import (
    AGE_GROUPS,
    BMI_CATEGORIES,
    GLUCOSE_CATEGORIES,
)
from stroke.domain.further import Further

Floats = NDArray[np.float64]

_DTYPES: Final[dict[str, Any]] = {
    "tensor(string)": np.object_,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
}


def trial_patients(
    count: int, may_be_missing: Sequence[str] = (), further: Further = ()
) -> pd.DataFrame:
    """Return ``count`` random patients and those at boundaries, as the application makes them.

    With ``may_be_missing`` also patients who lack these measurements; all have values of the
    ``further`` features.
    """
    return pd.DataFrame(patients.trial_patients(count, may_be_missing, further))


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
    known = np.isfinite(got) & np.isfinite(wanted)
    difference = np.where(known, np.abs(wanted - got), np.inf)
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
    """Return ``patients`` with the engineered features added.

    What is derived from a missing measurement has no meaning; a manifest refuses it.
    """
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
