"""Drift: how far what a model is asked, and answers, is from what it was trained on."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, Final

from stroke.domain.features import RAW_FEATURES

SCORE: Final = "probability"
WATCHED: Final = (*RAW_FEATURES, SCORE)
"""What may drift: the seven measurements, and the score that the model gives."""

FLOOR: Final = 1e-4
"""What an empty bin counts as: its logarithm would be infinite. Smaller shares, too."""

MISSING_FLOOR: Final = 0.01
"""What a smaller share of missing values counts as. By ``FLOOR``, patients who lack nothing would
count as drifted from training data of whom 4 in 100 lack something."""

_TOLERANCE: Final = 1e-6


class _Places(dict[Any, int]):
    """Bins by their labels; whatever else is asked for is in the last one."""

    def __init__(self, last: int) -> None:
        self._last = last

    def __missing__(self, _: object) -> int:
        return self._last


@dataclass(frozen=True, slots=True)
class ReferenceHistogram:
    """Shares of the training data, of a number or of a category.

    A number's bins lie between its ``cuts``, which rise: below the first, from one to the next
    (left-closed), and from the last on. A category's bins are its ``labels``, and one more for
    whatever else is met, which the training data had none of. ``shares`` are of the values that
    are known. ``missing`` is the share of patients without one, which are then a bin of their own,
    after the others; None where no patient may lack it.
    """

    shares: tuple[float, ...]
    cuts: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    missing: float | None = None
    place: Callable[[Any], int] = field(init=False, repr=False, compare=False)
    """Says which bin a known value falls into. It is called for each value of each prediction."""

    def __post_init__(self) -> None:
        if bool(self.cuts) == bool(self.labels):
            raise ValueError("a histogram has either cuts or labels")
        if len(self.shares) != len(self.cuts or self.labels) + 1:
            raise ValueError("a histogram has one share more than cuts or labels")
        if any(b <= a for a, b in pairwise(self.cuts)):
            raise ValueError("cuts rise")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a label is there once")
        if any(not 0 <= s <= 1 for s in self.shares) or abs(sum(self.shares) - 1) > _TOLERANCE:
            raise ValueError("shares lie between 0 and 1, and sum to 1")
        if self.missing is not None and not 0 <= self.missing < 1:
            raise ValueError("the share of missing values is at least 0 and below 1")
        place: Callable[[Any], int] = partial(bisect_right, self.cuts)
        if self.labels:
            places = _Places(len(self.labels))
            for at, label in enumerate(self.labels):
                places[label] = at
                if label.isdecimal():  # a flag is a number wherever it is not JSON
                    places[int(label)] = at
            place = places.__getitem__
        object.__setattr__(self, "place", place)

    @property
    def names(self) -> list[str]:
        """What people call the bins, in their order."""
        missing = [] if self.missing is None else ["missing"]
        if self.labels:
            return [*self.labels, "anything else", *missing]
        cuts = [f"{cut:g}" for cut in self.cuts]
        between = [f"{low} to {high}" for low, high in pairwise(cuts)]
        return [f"below {cuts[0]}", *between, f"from {cuts[-1]}", *missing]

    @property
    def expected(self) -> list[float]:
        """Shares of all patients, by bin."""
        if self.missing is None:
            return list(self.shares)
        return [*(share * (1 - self.missing) for share in self.shares), self.missing]


References = Mapping[str, ReferenceHistogram]
"""By what is watched, in the order of ``WATCHED``; empty for a model that came without them."""


def stability_index(
    expected: Sequence[float], counts: Sequence[int], floors: Sequence[float] | None = None
) -> float | None:
    """Return the population stability index of ``counts`` against shares; None of nothing.

    The sum over bins of ``(a - e) ln(a / e)``, of actual and expected shares, each its floor
    (``FLOOR`` unless another is given) at the least: 0 for equal ones, symmetric, and never below
    0 but for the floor. By convention 0.1 is a minor shift and 0.25 a major one (Siddiqi, Credit
    Risk Scorecards, 2006). For n patients in b bins it is about b / n when nothing has changed
    (Yurdakul 2018).
    """
    total = sum(counts)
    if not total:
        return None
    index = 0.0
    for share, count, floor in zip(expected, counts, floors or [FLOOR] * len(counts), strict=True):
        e, a = max(share, floor), max(count / total, floor)
        index += (a - e) * math.log(a / e)
    return index


@dataclass(slots=True)
class BinCounts:
    """How many values fell into each bin of a histogram. The counts of parts add up."""

    counts: list[int]
    unknown: int = 0
    """Values that were missing, or no numbers."""

    @classmethod
    def of(cls, histogram: ReferenceHistogram) -> BinCounts:
        """Return an empty one."""
        return cls([0] * len(histogram.shares))

    def add(self, histogram: ReferenceHistogram, values: Iterable[float | str | None]) -> None:
        """Count ``values``."""
        for value in values:
            if value is None or (isinstance(value, float) and math.isnan(value)):
                self.unknown += 1
            else:
                self.counts[histogram.place(value)] += 1

    def __add__(self, other: BinCounts) -> BinCounts:
        summed = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        return BinCounts(summed, self.unknown + other.unknown)

    @property
    def samples(self) -> int:
        """How many values are known."""
        return sum(self.counts)

    def by_bin(self, histogram: ReferenceHistogram) -> list[int]:
        """Return the counts of the bins, with that of missing values where it is one."""
        return self.counts if histogram.missing is None else [*self.counts, self.unknown]


@dataclass(frozen=True, slots=True)
class Drift:
    """One feature, or the score, held against the training data."""

    feature: str
    histogram: ReferenceHistogram
    observed: BinCounts
    psi: float | None

    @property
    def samples(self) -> int:
        """How many values are in bins."""
        return sum(self.observed.by_bin(self.histogram))

    @property
    def shares(self) -> list[float]:
        """The actual shares; zeros of nothing."""
        counts = self.observed.by_bin(self.histogram)
        return [count / max(self.samples, 1) for count in counts]

    def is_beyond(self, threshold: float, minimum: int) -> bool:
        """Whether enough values say that it has drifted."""
        return self.psi is not None and self.psi > threshold and self.samples >= minimum


def drift(feature: str, histogram: ReferenceHistogram, observed: BinCounts) -> Drift:
    """Return how far ``observed`` is from ``histogram``."""
    counts = observed.by_bin(histogram)
    floors = [FLOOR] * len(observed.counts) + [MISSING_FLOOR] * (len(counts) - len(observed.counts))
    return Drift(feature, histogram, observed, stability_index(histogram.expected, counts, floors))
