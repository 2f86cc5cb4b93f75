"""The training data: the public stroke data set's CSV, or any file with its columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stroke.application.predictions.cells import choice, flag, measurement, smoking_status
from stroke.application.predictions.file_rows import FileRow
from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES
from stroke.domain.patient import OPTIONAL, Patient, flag_of

OUTCOME: Final = "stroke"
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

    def at(self, rows: NDArray[np.bool_]) -> LabelledPatients:
        """Return those whose place in the mask ``rows (N,)`` is true."""
        return replace(self, features=self.features[rows], outcome=self.outcome[rows])

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


def patients_of(
    columns: Mapping[str, NDArray[Any]], outcome: NDArray[np.int64], sha256: str
) -> LabelledPatients:
    """Return the patients of ``columns``, raw features ``(N,)`` each, with their outcomes."""
    return LabelledPatients(
        pd.DataFrame({name: columns[name] for name in RAW_FEATURES}), outcome, sha256
    )


def read_labelled(path: Path, rows: Iterable[FileRow]) -> LabelledPatients:
    """Return the patients of ``rows``, which are those of the file ``path``.

    They have the raw features, of which those in ``OPTIONAL`` may be missing, and ``stroke``; other
    columns are ignored. Raises ``InvalidData`` for the first row that is none, without quoting it.
    """
    patients: list[Patient] = []
    outcomes: list[int] = []
    for row in rows:
        try:
            patient, outcome = _labelled(row)
        except (InvalidPatient, InvalidData) as error:
            raise InvalidData(f"{path}: line {row.line}: {error}") from None
        patients.append(patient)
        outcomes.append(outcome)
    features = pd.DataFrame(
        {name: [getattr(patient, name) for patient in patients] for name in RAW_FEATURES}
    ).astype({name: object if name in TEXT_FEATURES else np.float64 for name in RAW_FEATURES})
    strokes = sum(outcomes)
    if min(strokes, len(outcomes) - strokes) < FEWEST:
        raise InvalidData(
            f"{path} needs at least {FEWEST} patients with a stroke and {FEWEST} without"
        )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return LabelledPatients(features, np.array(outcomes, np.int64), sha256)


def _labelled(row: FileRow) -> tuple[Patient, int]:
    """Return the patient of a row, and their outcome."""
    if row.problem is not None:
        raise InvalidData(row.problem)
    cells = row.cells
    patient = Patient(
        gender=choice(cells["gender"]),  # type: ignore[arg-type]
        age=measurement(cells["age"]),  # type: ignore[arg-type]
        hypertension=flag(cells["hypertension"]),  # type: ignore[arg-type]
        heart_disease=flag(cells["heart_disease"]),  # type: ignore[arg-type]
        avg_glucose_level=measurement(cells["avg_glucose_level"]),  # type: ignore[arg-type]
        bmi=measurement(cells["bmi"]),  # type: ignore[arg-type]
        smoking_status=smoking_status(cells["smoking_status"]),  # type: ignore[arg-type]
    )
    outcome = flag(cells[OUTCOME])
    if not isinstance(outcome, int) or flag_of(outcome) is None:
        raise InvalidData(f"{OUTCOME} must be 1 or 0, yes or no, true or false")
    return patient, outcome
