"""Patients as the columns that a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES
from stroke.domain.further import Further
from stroke.domain.patient import Patient


def columns_of(patients: Sequence[Patient], further: Further) -> dict[str, NDArray[Any]]:
    """Return the raw and the ``further`` features of patients, ``(N,)`` each.

    A missing number is NaN and a missing text is empty, also where the patient has no such feature.
    """
    columns = {
        name: np.array(
            [getattr(patient, name) for patient in patients],
            dtype=object if name in TEXT_FEATURES else np.float64,
        )
        for name in RAW_FEATURES
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
