"""Patients as the columns that a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES
from stroke.domain.further import Further
from stroke.domain.patient import Patient

_raw = attrgetter(*RAW_FEATURES)
_NOBODY: Final = [()] * len(RAW_FEATURES)


def columns_of(patients: Sequence[Patient], further: Further) -> dict[str, NDArray[Any]]:
    """Return the raw and the ``further`` features of patients, ``(N,)`` each.

    A missing number is NaN and a missing text is empty, also where the patient has no such feature.
    """
    columns = {
        name: np.array(values, dtype=object if name in TEXT_FEATURES else np.float64)
        for name, values in zip(
            RAW_FEATURES,
            zip(*map(_raw, patients), strict=True) if patients else _NOBODY,
            strict=True,
        )
    }
    if further:
        values = [dict(patient.further) for patient in patients]
        for each in further:
            known = [of_one.get(each.name) for of_one in values]
            columns[each.name] = (
                np.array([value or "" for value in known], object)
                if each.is_text
                else np.array(known, np.float64)  # None becomes NaN
            )
    return columns
