"""Synthetic patients: written as text, or scored to verify a model."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final, Literal

import numpy as np

from stroke.adapters.simulation.fhir import fhir_lines
from stroke.adapters.simulation.patients import simulate
from stroke.adapters.simulation.writing import Format, text
from stroke.application.predictions.trial_patients import (
    TrialPatients,
    extreme_patients,
    with_values_of,
)
from stroke.domain.further import Further

_PLAUSIBLE: Final = 5_000
_PLAUSIBLE_WITH_FURTHER: Final = 500


def simulated_patients(
    count: int, seed: int, form: Literal["csv", "ndjson"], *, missing: float = 0
) -> Iterator[bytes]:
    """Yield the UTF-8 text of ``count`` patients, whole lines at a time.

    The same arguments give the same bytes. The share ``missing`` of them has no BMI, and the same
    share has no glucose level.
    """
    return text(count, seed, Format(form), missing=missing)


def simulated_records(
    count: int, seed: int, *, missing: float, as_of: date, requests: bool
) -> Iterator[bytes]:
    """Yield a line for each of ``count`` patients: a FHIR Bundle, or a request of CDS Hooks.

    They are the patients of ``simulated_patients``, of their age on the day ``as_of``.
    """
    return fhir_lines(count, seed, missing=missing, as_of=as_of, requests=requests)


def verification_patients(further: Further = ()) -> TrialPatients:
    """Return 5,000 plausible patients, then every combination of extremes: always the same.

    With ``further`` features there are 500: explanations may take 4,096 runs for each.
    """
    count = _PLAUSIBLE_WITH_FURTHER if further else _PLAUSIBLE
    [plausible] = simulate(count, seed=0, at_a_time=count)
    patients = {
        name: np.concatenate(
            [np.array(plausible[name].values, values.dtype)[plausible[name].index], values]
        )
        for name, values in extreme_patients().items()
    }
    return with_values_of(patients, further)
