"""The comparisons of patients, from a manifest's tables.

Two ways to the same bits, as support has them: a loop for patients, and arrays for columns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import partial
from itertools import accumulate, pairwise
from math import exp
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stroke.adapters.onnx.graph import Columns
from stroke.adapters.onnx.manifest_parts import ComparisonTables
from stroke.domain.comparison import Comparison
from stroke.domain.patient import Patient

Floats = NDArray[np.float64]


# Spares the call of a function in Python for each patient, which a named tuple's own name is.
_compared: Final = partial(tuple.__new__, Comparison)


class _Averages(NamedTuple):
    """Average risks of one gender by whole year of age, ``last`` being the highest one.

    ``highest`` is that up to each year: an average may fall, as it does in children. ``lines``
    has, for each year but the last, its average and what is added to it until the next year.
    """

    last: int
    highest: tuple[float, ...]
    lines: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, by_year: tuple[float, ...]) -> _Averages:
        return cls(
            len(by_year) - 1,
            tuple(accumulate(by_year, max)),
            tuple((risk, after - risk) for risk, after in pairwise(by_year)),
        )


class Comparisons:
    """Compares risks with the averages and the reference of ``tables``."""

    def __init__(self, tables: ComparisonTables) -> None:
        self._averages = {
            gender: _Averages.of(by_year) for gender, by_year in tables.average.items()
        }
        self._reference = tables.reference_log_odds

    def of_patients(
        self,
        patients: Iterable[Patient],
        probability: Iterable[float],
        kept_log_odds: Iterable[float],
        variant: Iterable[int],
    ) -> list[Comparison]:
        """Return the comparison of each patient, whom ``variant`` of the model assessed.

        ``kept_log_odds`` is what the baseline and the unchangeable features add to the risk.
        """
        averages, of_variant = self._averages, self._reference
        found = []
        for patient, risk, kept, chosen in zip(
            patients, probability, kept_log_odds, variant, strict=True
        ):
            reference = 1 / (1 + exp(-kept - of_variant[chosen]))
            of_gender = averages.get(patient.gender)
            if of_gender is None:
                found.append(Comparison(None, None, reference, risk / reference, None))
                continue
            last, highest, lines = of_gender
            age = patient.age
            if age < last:
                year = int(age)
            else:
                age, year = last, last - 1
            below, rise = lines[year]
            average = below + (age - year) * rise
            reached = bisect_left(highest, risk)
            equal_age = None
            if 0 < reached <= last:
                before, rise = lines[reached - 1]
                equal_age = reached - 1 + (risk - before) / rise
            found.append(
                _compared((average, risk / average, reference, risk / reference, equal_age))
            )
        return found

    def of_columns(
        self,
        columns: Columns,
        probability: Floats,
        kept_log_odds: Floats,
        variant: NDArray[np.int64],
    ) -> Floats:
        """Return ``(N, 5)`` in the order of ``Comparison``, NaN for what is not known."""
        found = np.full((len(probability), len(Comparison._fields)), np.nan)
        average, relative, reference, times, equal_age = found.T
        exponent = -kept_log_odds - np.array(self._reference)[variant]
        # numpy rounds some exponentials in another way than the loop.
        reference[:] = 1 / (1 + np.array(list(map(exp, exponent.tolist()))))
        times[:] = probability / reference
        for gender, tables in self._averages.items():
            rows = np.flatnonzero(columns["gender"] == gender)
            risk = probability[rows]
            average[rows] = _average(columns["age"][rows], tables)
            relative[rows] = risk / average[rows]
            equal_age[rows] = _equal_age(risk, tables)
        return found


def _average(age: Floats, tables: _Averages) -> Floats:
    """Return the average risk at each age, on straight lines between whole years."""
    below, rise = np.array(tables.lines).T
    within = np.minimum(age, tables.last)
    year = np.minimum(within.astype(np.int64), tables.last - 1)
    found: Floats = below[year] + (within - year) * rise[year]
    return found


def _equal_age(risk: Floats, tables: _Averages) -> Floats:
    """Return the lowest age at which the average reaches each risk, NaN where there is none."""
    before, rise = np.array(tables.lines).T
    reached = np.searchsorted(np.array(tables.highest), risk)
    exists = (reached > 0) & (reached <= tables.last)
    year = np.where(exists, reached, 1) - 1
    with np.errstate(divide="ignore", invalid="ignore"):  # where there is no such age
        age = year + (risk - before[year]) / rise[year]
    return np.where(exists, age, np.nan)
