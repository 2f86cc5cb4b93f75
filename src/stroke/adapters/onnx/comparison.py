"""The comparisons of patients, from a manifest's tables. Plain Python, as support is."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from math import exp

from stroke.adapters.onnx.manifest import ComparisonTables
from stroke.domain.comparison import Comparison


class Comparisons:
    """Compares risks with the averages and the reference of ``tables``."""

    def __init__(self, tables: ComparisonTables) -> None:
        # Beside each average the highest one up to that year: it may fall, as it does in children.
        self._average = {
            gender: (average, tuple(accumulate(average, max)))
            for gender, average in tables.average.items()
        }
        self._reference = tables.reference_log_odds

    def of(
        self, gender: str, age: float, probability: float, kept_log_odds: float, variant: int
    ) -> Comparison:
        """Return the comparison of one patient, whom ``variant`` of the model assessed.

        ``kept_log_odds`` is what the baseline and the unchangeable features add to the risk.
        """
        reference = 1 / (1 + exp(-kept_log_odds - self._reference[variant]))
        of_gender = self._average.get(gender)
        if of_gender is None:
            return Comparison(None, None, reference, probability / reference, None)
        averages, highest = of_gender
        last = len(averages) - 1
        age = min(age, last)
        year = min(int(age), last - 1)
        below = averages[year]
        average = below + (age - year) * (averages[year + 1] - below)
        reached = bisect_left(highest, probability)
        equal_age = None
        if 0 < reached <= last:
            before = averages[reached - 1]
            equal_age = reached - 1 + (probability - before) / (averages[reached] - before)
        return Comparison(
            average, probability / average, reference, probability / reference, equal_age
        )
