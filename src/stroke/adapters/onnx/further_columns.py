"""Features that a model declares for itself, as columns of numbers and texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from stroke.adapters.onnx.graph import Columns
from stroke.domain.errors import InvalidPatient, Violation
from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import Further
from stroke.domain.patient import Patient


def completed(columns: Columns, further: Further) -> Columns:
    """Return ``columns`` with a gap for each of the ``further`` features that has no column.

    Raises ``InvalidPatient`` where one is missing that must not be.
    """
    made = dict(columns)
    count = len(columns[RAW_FEATURES[0]])
    violations = []
    for each in further:
        if each.name not in made:
            made[each.name] = np.full(count, "", object) if each.is_text else np.full(count, np.nan)
        values = made[each.name]
        if not each.may_be_missing and (values == "" if each.is_text else np.isnan(values)).any():
            violations.append(Violation(each.name, each.reason(None) or ""))
    if violations:
        raise InvalidPatient(tuple(violations))
    return made


def values_getter(names: Sequence[str], further: Further) -> Callable[[Patient], Any]:
    """Return what gives a patient's values of ``names``; None where one is missing."""
    if not further:
        return attrgetter(*names)
    declared = {each.name for each in further}

    def values(patient: Patient) -> list[Any]:
        own = dict(patient.further)
        return [own.get(name) if name in declared else getattr(patient, name) for name in names]

    return values
