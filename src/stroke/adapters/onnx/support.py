"""The support of patients, from a manifest's tables of the training data.

Patients are looked at one by one: groups of requests are small, and a patient costs less so than
the many array operations that a group of them would need (decision 0087). Columns are looked at as
arrays, which find the few rows that a rule speaks against (decision 0104).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, product
from math import nan
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stroke.adapters.onnx.graph import Columns
from stroke.adapters.onnx.manifest_parts import Reach, SupportTables
from stroke.domain.patient import GENDERS, OPTIONAL, SMOKING_STATUSES, Patient
from stroke.domain.support import WITHIN, ReasonCode, Support, SupportReason

_Kind = str | float
_KINDS: Final[dict[str, tuple[_Kind, ...]]] = {
    "gender": GENDERS,
    "hypertension": (0, 1),
    "heart_disease": (0, 1),
    "smoking_status": SMOKING_STATUSES,
}
_SIDES: Final = (
    ReasonCode.NONE_AS_LOW,
    ReasonCode.FEW_AS_LOW,
    ReasonCode.FEW_AS_HIGH,
    ReasonCode.NONE_AS_HIGH,
)
_SIDES_FOR: Final = (
    ReasonCode.NONE_AS_LOW_FOR,
    ReasonCode.FEW_AS_LOW_FOR,
    ReasonCode.FEW_AS_HIGH_FOR,
    ReasonCode.NONE_AS_HIGH_FOR,
)


_ALL_KINDS: Final = tuple(product(*_KINDS.values()))


class _Inner(NamedTuple):
    """The values that no rule speaks against at one year of age; both ends are within."""

    glucose_low: float
    glucose_high: float
    bmi_low: float
    bmi_high: float


class _Reason(NamedTuple):
    code: ReasonCode
    features: tuple[str, ...]
    fewer_than: int | None


_Reasons = tuple[_Reason, ...]


class SupportRules:
    """Says how well the training data that ``tables`` describe support patients.

    A missing measurement breaks no rule. Whatever a rule may say stands in tables that are made
    once, so that looking up what speaks against a patient takes about a microsecond.
    """

    def __init__(self, tables: SupportTables) -> None:
        self._last = len(tables.by_age[OPTIONAL[0]]) - 1
        self._age = tables.ranges["age"]
        of_all = [tables.ranges[name] for name in OPTIONAL]
        nearby = [tables.by_age[name] for name in OPTIONAL]
        # By year: the reach of age, and then of each measurement over all and nearby.
        self._reaches = [
            (self._age, *chain(*zip(of_all, (each[year] for each in nearby), strict=True)))
            for year in range(self._last + 1)
        ]
        self._rare, self._highest = tables.leverage.rare, tables.leverage.highest
        self._inner = [self._inner_of(year) for year in range(self._last + 1)]
        # What may be said of each measurement, in the order in which it is said.
        self._sides = [_sides(("age",), tables.few, _SIDES)]
        for name in OPTIONAL:
            self._sides.append(_sides((name,), tables.few, _SIDES))
            self._sides.append(_sides((name, "age"), tables.few_nearby, _SIDES_FOR))
        # What may be said of kinds: each answer once, and its number for every year and kinds.
        numbers: dict[_Reasons, int] = {(): 0}
        # Two bytes for each year: other work of a request pushes large tables out of the cache.
        self._kinds = {
            kinds: array("H", (numbers.setdefault(said, len(numbers)) for said in by_year))
            for kinds, by_year in self._said_of_kinds(tables)
        }
        self._of_kinds = list(numbers)
        self._common = np.array([self._kinds[kinds] for kinds in _ALL_KINDS]).T == 0
        self._ends = np.array(self._inner).T
        self._worded = lru_cache(4096)(self._because)

    def of_patients(self, patients: Iterable[Patient], leverages: Iterable[float]) -> list[Support]:
        """Return the support of each patient, who has this leverage."""
        inner, numbers, last, rare = self._inner, self._kinds, self._last, self._rare
        _, age_low, age_high, _ = self._age
        found = []
        for who, leverage in zip(patients, leverages, strict=True):
            age, glucose, bmi = who.age, who.avg_glucose_level, who.bmi
            year = min(int(age + 0.5), last)
            glucose_low, glucose_high, bmi_low, bmi_high = inner[year]
            of_kinds = numbers[who.gender, who.hypertension, who.heart_disease, who.smoking_status][
                year
            ]
            if (
                age_low <= age <= age_high
                and (glucose is None or glucose_low <= glucose <= glucose_high)
                and (bmi is None or bmi_low <= bmi <= bmi_high)
            ):
                of_values = 0
            else:
                measured = (nan if glucose is None else glucose, nan if bmi is None else bmi)
                of_values = self._of_values(year, age, measured)
            if of_values or of_kinds or leverage > rare:
                found.append(self._worded(of_values, of_kinds, self._beyond(leverage)))
            else:
                found.append(WITHIN)
        return found

    def of_columns(self, columns: Columns, leverage: NDArray[np.float64]) -> list[Support]:
        """Return the support of each row of raw features, ``(N,)`` each, and ``leverage (N,)``."""
        age, glucose, bmi = (columns[name] for name in ("age", *OPTIONAL))
        year = np.minimum((age + 0.5).astype(np.int64), self._last)
        glucose_low, glucose_high, bmi_low, bmi_high = self._ends[:, year]
        kinds = np.zeros(len(age), np.int64)
        for feature, values in _KINDS.items():
            kinds = kinds * len(values) + _places(columns[feature], values)
        # The other way round a missing one, which is NaN, would be out.
        out = (glucose < glucose_low) | (glucose > glucose_high)
        out |= (bmi < bmi_low) | (bmi > bmi_high)
        _, age_low, age_high, _ = self._age
        out |= (age < age_low) | (age > age_high) | (leverage > self._rare)
        suspect = np.flatnonzero(out | ~self._common[year, kinds])
        found = [WITHIN] * len(age)
        seen = [each[suspect].tolist() for each in (year, age, glucose, bmi, leverage, kinds)]
        for row, at, years, sugar, mass, lever, kind in zip(suspect.tolist(), *seen, strict=True):
            of_values = self._of_values(at, years, (sugar, mass))
            of_kinds = self._kinds[_ALL_KINDS[kind]][at]
            found[row] = self._worded(of_values, of_kinds, self._beyond(lever))
        return found

    def _of_values(self, year: int, age: float, measured: tuple[float, float]) -> int:
        """Return the number of what is said of age and of ``measured``: the values of ``OPTIONAL``.

        A missing one is NaN.
        """
        glucose, bmi = measured
        said = 0
        values = (age, glucose, glucose, bmi, bmi)
        for value, reach in zip(values, self._reaches[year], strict=True):
            said = said * _ANSWERS + _side(value, reach)
        return said

    def _beyond(self, leverage: float) -> int:
        return 0 if leverage <= self._rare else 1 if leverage <= self._highest else 2

    def _because(self, of_values: int, of_kinds: int, beyond: int) -> Support:
        """Return the support for what the rules said, in the order in which they speak."""
        answers: list[_Reasons] = [self._of_kinds[of_kinds], _COMBINATIONS[beyond]]
        for sides in reversed(self._sides):
            of_values, answer = divmod(of_values, _ANSWERS)
            answers.insert(0, sides[answer])
        return Support.because(
            SupportReason.of(code, *features, fewer_than=few)
            for code, features, few in chain(*answers)
        )

    def _inner_of(self, year: int) -> _Inner:
        ends: list[float] = []
        _, *measured = self._reaches[year]
        for reaches in (measured[:2], measured[2:]):
            ends += [max(reach[1] for reach in reaches), min(reach[2] for reach in reaches)]
        return _Inner(*ends)

    def _said_of_kinds(
        self, tables: SupportTables
    ) -> Iterator[tuple[tuple[_Kind, ...], Iterator[_Reasons]]]:
        """Yield all kinds that a patient may have together, and what is said of them by year."""
        years = range(self._last + 1)
        # Python alone answers while this is made, and a service that loads a model answers others.
        of_one = {
            (feature, kind): [tuple(_of_kind(tables, feature, kind, year)) for year in years]
            for feature, kinds in _KINDS.items()
            for kind in kinds
        }
        for kinds in _ALL_KINDS:
            parts = [of_one[each] for each in zip(_KINDS, kinds, strict=True)]
            yield kinds, (tuple(chain(*said)) for said in zip(*parts, strict=True))


def _sides(
    features: tuple[str, ...],
    few: int,
    codes: tuple[ReasonCode, ReasonCode, ReasonCode, ReasonCode],
) -> list[_Reasons]:
    """Return what is said for each number that ``_side`` gives."""
    below, above = (
        [(), (_Reason(codes[none], features, None),), (_Reason(codes[some], features, few),)]
        for none, some in ((0, 1), (3, 2))
    )
    return [low + high for low in below for high in above]


def _side(value: float, reach: Reach) -> int:
    """Return on which side of what was common ``value`` lies: 0 where on none, or if it is NaN.

    It may lie on both sides: where few had a value at all, few had one as low, and few as high.
    """
    lowest, low, high, highest = reach
    if low <= value <= high:
        return 0
    below = 1 if value < lowest else 2 if value < low else 0
    above = 1 if value > highest else 2 if value > high else 0
    return 3 * below + above


def _of_kind(tables: SupportTables, feature: str, kind: _Kind, year: int) -> Iterator[_Reason]:
    text = kind if isinstance(kind, str) else str(int(kind))
    if feature in tables.kinds:
        count = tables.kinds[feature].get(text, 0)
        if count < tables.too_few_of_kind:
            yield _Reason(ReasonCode.TOO_FEW_OF_KIND, (feature,), tables.too_few_of_kind)
        elif count < tables.few_of_kind:
            yield _Reason(ReasonCode.FEW_OF_KIND, (feature,), tables.few_of_kind)
    if feature in tables.kinds_by_age:
        nearby = tables.kinds_by_age[feature].get(text)
        count = nearby[year] if nearby else 0
        if count == 0:
            yield _Reason(ReasonCode.NONE_OF_KIND_FOR, (feature, "age"), None)
        elif count < tables.few_nearby:
            yield _Reason(ReasonCode.FEW_OF_KIND_FOR, (feature, "age"), tables.few_nearby)


def _places(column: NDArray[Any], values: tuple[_Kind, ...]) -> NDArray[np.int64]:
    """Return each cell's place among ``values``."""
    place = {value: at for at, value in enumerate(values)}
    return np.array([place[cell] for cell in column.tolist()], np.int64)


_ANSWERS: Final = 9
_COMBINATIONS: Final[tuple[_Reasons, ...]] = (
    (),
    (_Reason(ReasonCode.RARE_COMBINATION, (), None),),
    (_Reason(ReasonCode.NO_SUCH_COMBINATION, (), None),),
)
