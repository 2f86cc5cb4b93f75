"""The training data: the public stroke data set's CSV, or any file with its columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stroke.domain.errors import InvalidData
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES
from stroke.domain.patient import AGE, AVG_GLUCOSE_LEVEL, BMI, GENDERS, OPTIONAL, SMOKING_STATUSES

OUTCOME: Final = "stroke"
_RANGES: Final = {
    "age": (AGE.low, AGE.high),
    "hypertension": (0, 1),
    "heart_disease": (0, 1),
    "avg_glucose_level": (AVG_GLUCOSE_LEVEL.low, AVG_GLUCOSE_LEVEL.high),
    "bmi": (BMI.low, BMI.high),
}
# With fewer of either outcome, neither the folds nor the bootstrap can say anything.
FEWEST: Final = 50


@dataclass(frozen=True, slots=True)
class LabelledPatients:
    """Raw features ``(N, 7)``, NaN for what is missing, and the outcome ``(N,)`` of 0 and 1."""

    features: pd.DataFrame
    outcome: NDArray[np.int64]
    sha256: str

    def __len__(self) -> int:
        return len(self.outcome)

    def who_have(self, measurements: Sequence[str]) -> LabelledPatients:
        """Return those with all of ``measurements``, which are what a model may need."""
        kept = self.features[list(measurements)].notna().all(axis=1).to_numpy()
        return replace(self, features=self.features[kept], outcome=self.outcome[kept])

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the raw features, ``(N,)`` each: text as objects, numbers as float64."""
        return {
            name: self.features[name].to_numpy(object if name in TEXT_FEATURES else np.float64)
            for name in RAW_FEATURES
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What a manifest says of the data.

        ``missing_bmi`` is always there, other counts of missing values where there are any.
        """
        missing = {name: int(self.features[name].isna().sum()) for name in OPTIONAL}
        return {
            "sha256": self.sha256,
            "rows": len(self),
            "strokes": int(self.outcome.sum()),
            **{f"missing_{n}": count for n, count in missing.items() if count or n == "bmi"},
        }


def read_csv(path: Path) -> LabelledPatients:
    """Read a CSV with the raw features and ``stroke`` in its header; other columns are ignored.

    Raises ``InvalidData`` saying what is wrong with the file, without quoting a row.
    """
    try:
        content = path.read_bytes()
        table = pd.read_csv(path, na_values=["N/A", ""], keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InvalidData(f"{path} cannot be read as CSV") from error
    missing = [name for name in (*RAW_FEATURES, OUTCOME) if name not in table.columns]
    if missing:
        raise InvalidData(f"{path} lacks the columns {', '.join(missing)}")
    features = table[list(RAW_FEATURES)].copy()
    for name in _RANGES:
        numbers = pd.to_numeric(features[name], errors="coerce").astype(np.float64)
        given = features[name].notna() | (name not in OPTIONAL)
        _refuse(path, name, given & ~numbers.between(*_RANGES[name]))
        features[name] = numbers
    _refuse(path, "gender", ~features["gender"].isin(GENDERS))
    _refuse(path, "smoking_status", ~features["smoking_status"].isin(SMOKING_STATUSES))
    _refuse(path, OUTCOME, ~table[OUTCOME].isin([0, 1]))
    outcome = table[OUTCOME].to_numpy(np.int64)
    strokes = int(outcome.sum())
    if min(strokes, len(outcome) - strokes) < FEWEST:
        raise InvalidData(
            f"{path} needs at least {FEWEST} patients with a stroke and {FEWEST} without"
        )
    return LabelledPatients(features, outcome, hashlib.sha256(content).hexdigest())


def _refuse(path: Path, name: str, wrong: pd.Series) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong.to_numpy())[0])
        raise InvalidData(f"{path}: row {row + 1} has no valid {name}")
