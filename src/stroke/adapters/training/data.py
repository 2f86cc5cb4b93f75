"""The training data: the public stroke data set's CSV, or any file with its columns."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stroke.application.predictions.cells import (
    choice,
    flag,
    further_cell,
    measurement,
    smoking_status,
)
from stroke.application.predictions.file_rows import FileRow
from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES
from stroke.domain.further import (
    FeatureKind,
    Further,
    FurtherFeature,
    check_declared,
    values_of,
)
from stroke.domain.patient import OPTIONAL, Patient, extended, flag_of

OUTCOME: Final = "stroke"
# With fewer of either outcome, neither the folds nor the bootstrap can say anything.
FEWEST: Final = 50


@dataclass(frozen=True, slots=True)
class LabelledPatients:
    """Features ``(N, k)``, NaN for what is missing, and the outcome ``(N,)`` of 0 and 1.

    They are the seven raw features, and then those of ``further``, an empty text for a missing one.
    """

    features: pd.DataFrame
    outcome: NDArray[np.int64]
    sha256: str
    further: Further = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features, in their order."""
        return (*RAW_FEATURES, *(each.name for each in self.further))

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
        """Return the features, ``(N,)`` each: text as objects, numbers as float64."""
        texts = _texts(self.further)
        return {
            name: self.features[name].to_numpy(object if name in texts else np.float64)
            for name in self.names
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
    columns: Mapping[str, NDArray[Any]],
    outcome: NDArray[np.int64],
    sha256: str,
    further: Further = (),
) -> LabelledPatients:
    """Return the patients of ``columns``, with their outcomes.

    They are the raw features and those of ``further``, ``(N,)`` each, an empty text for a missing
    one.
    """
    names = (*RAW_FEATURES, *(each.name for each in further))
    return LabelledPatients(
        pd.DataFrame({name: columns[name] for name in names}), outcome, sha256, further
    )


def read_labelled(
    path: Path,
    rows: Iterable[FileRow],
    further: Further = (),
    guessed: Sequence[str] = (),
) -> LabelledPatients:
    """Return the patients of ``rows``, which are those of the file ``path``.

    They have the raw features, of which those in ``OPTIONAL`` may be missing, those of ``further``,
    and ``stroke``; other columns are ignored. What the columns ``guessed`` hold, the file says
    itself: see ``guessed_feature``. Raises ``InvalidData`` for the first row that is none, without
    quoting it.
    """
    if guessed:
        rows = list(rows)
        further = (*further, *(guessed_feature(name, _cells(name, rows)) for name in guessed))
    try:
        check_declared(further)
    except ValueError as error:
        raise InvalidData(f"{path}: {error}") from None
    patients: list[Patient] = []
    outcomes: list[int] = []
    for row in rows:
        try:
            patient, outcome = _labelled(row, further)
        except (InvalidPatient, InvalidData) as error:
            raise InvalidData(f"{path}: line {row.line}: {error}") from None
        patients.append(patient)
        outcomes.append(outcome)
    columns = {name: [getattr(patient, name) for patient in patients] for name in RAW_FEATURES}
    for at, each in enumerate(further):
        values = [patient.further[at][1] for patient in patients]
        columns[each.name] = [value or "" for value in values] if each.is_text else values
    texts = _texts(further)
    features = pd.DataFrame(columns).astype(
        {name: object if name in texts else np.float64 for name in columns}
    )
    strokes = sum(outcomes)
    if min(strokes, len(outcomes) - strokes) < FEWEST:
        raise InvalidData(
            f"{path} needs at least {FEWEST} patients with a stroke and {FEWEST} without"
        )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return LabelledPatients(features, np.array(outcomes, np.int64), sha256, further)


def guessed_feature(name: str, cells: Sequence[object]) -> FurtherFeature:
    """Return the feature that the ``cells`` of a column are values of; None is a missing one.

    Numbers that are all 0 or 1 are flags, other numbers lie between the lowest and the highest one,
    and texts are categories, in alphabetical order. It may be missing if it is in these cells.
    Explanations compare with the median, or the most frequent value. Raises ``InvalidData``.
    """
    known = [each for each in map(measurement, cells) if each is not None]
    missing = len(known) < len(cells)
    numbers = [each for each in known if isinstance(each, (int, float))]
    try:
        if len(numbers) < len(known):
            words = Counter(str(choice(each)) for each in cells if choice(each) is not None)
            return FurtherFeature(
                name,
                FeatureKind.CATEGORY,
                categories=tuple(sorted(words)),
                may_be_missing=missing,
                reference=min(words, key=lambda word: (-words[word], word)),
            )
        if set(numbers) <= {0, 1}:
            usual = int(2 * sum(numbers) > len(numbers))
            return FurtherFeature(name, FeatureKind.FLAG, may_be_missing=missing, reference=usual)
        return FurtherFeature(
            name,
            FeatureKind.NUMBER,
            float(min(numbers)),
            float(max(numbers)),
            may_be_missing=missing,
            reference=float(np.median(numbers)),
        )
    except ValueError as error:
        raise InvalidData(f"the column {name} cannot be a feature: {error}") from None


def _cells(name: str, rows: Iterable[FileRow]) -> list[object]:
    """Return a column. Raises ``InvalidData`` where it is not there."""
    found = [row.cells.get(name) for row in rows if row.problem is None]
    if all(each is None for each in found):
        raise InvalidData(f"the column {name} is missing, or has no value")
    return found


def _texts(further: Further) -> frozenset[str]:
    return TEXT_FEATURES | {each.name for each in further if each.is_text}


def _labelled(row: FileRow, further: Further) -> tuple[Patient, int]:
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
    if further:
        values = values_of(further, {each.name: further_cell(each, cells) for each in further})
        patient = extended(patient, values)
    return patient, outcome
