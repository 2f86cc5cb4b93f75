"""The support of patients, from a manifest's tables of the training data.

Plain Python on purpose: groups of requests are small, and a patient costs less here than the many
array operations that a group of them would need (decision 0087).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any, Final, NamedTuple

from stroke.adapters.onnx.manifest import Reach, SupportTables
from stroke.domain.patient import GENDERS, OPTIONAL, SMOKING_STATUSES
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


class Place(NamedTuple):
    """What support looks at: a patient's values, NaN for one that is missing, and leverage."""

    age: float
    avg_glucose_level: float
    bmi: float
    leverage: float
    gender: str
    hypertension: float
    heart_disease: float
    smoking_status: str


class _Inner(NamedTuple):
    """The values that no rule speaks against at one year of age; both ends are within."""

    glucose_low: float
    glucose_high: float
    bmi_low: float
    bmi_high: float
    kinds: frozenset[tuple[_Kind, ...]]


class SupportRules:
    """Says how well the training data that ``tables`` describe support patients."""

    def __init__(self, tables: SupportTables) -> None:
        self._tables = tables
        self._last = len(tables.by_age[OPTIONAL[0]]) - 1
        _, self._age_low, self._age_high, _ = tables.ranges["age"]
        self._rare = tables.leverage.rare
        self._inner = [self._inner_of(year) for year in range(self._last + 1)]

    def of(self, *columns: list[Any]) -> list[Support]:
        """Return the support of each patient. A missing measurement breaks no rule.

        ``columns`` has a list for each field of ``Place``, in its order.
        """
        inner, last, rare = self._inner, self._last, self._rare
        age_low, age_high = self._age_low, self._age_high
        found = []
        for place in zip(*columns, strict=True):
            age, glucose, bmi, leverage, gender, hypertension, heart_disease, smoking = place
            glucose_low, glucose_high, bmi_low, bmi_high, kinds = inner[min(int(age + 0.5), last)]
            if (
                age_low <= age <= age_high
                # The other way round a missing one, which is NaN, would be out.
                and not glucose < glucose_low
                and not glucose > glucose_high
                and not bmi < bmi_low
                and not bmi > bmi_high
                and leverage <= rare
                and (gender, hypertension, heart_disease, smoking) in kinds
            ):
                found.append(WITHIN)
            else:
                found.append(_because(tuple(self._reasons(Place(*place)))))
        return found

    def _inner_of(self, year: int) -> _Inner:
        tables = self._tables
        lows, highs = {}, {}
        for name in OPTIONAL:
            reaches = (tables.ranges[name], tables.by_age[name][year])
            lows[name] = max(reach[1] for reach in reaches)
            highs[name] = min(reach[2] for reach in reaches)
        common = [
            [kind for kind in kinds if not any(self._of_kind(feature, kind, year))]
            for feature, kinds in _KINDS.items()
        ]
        return _Inner(
            lows["avg_glucose_level"],
            highs["avg_glucose_level"],
            lows["bmi"],
            highs["bmi"],
            frozenset(product(*common)),
        )

    def _reasons(self, place: Place) -> Iterator[_Reason]:
        """Yield what speaks against a patient: the graver of two reasons of the same kind."""
        tables = self._tables
        year = min(int(place.age + 0.5), self._last)
        for name in ("age", *OPTIONAL):
            value = getattr(place, name)
            yield from _beyond(value, tables.ranges[name], _SIDES, (name,), tables.few)
            if name in tables.by_age:
                reach = tables.by_age[name][year]
                yield from _beyond(value, reach, _SIDES_FOR, (name, "age"), tables.few_nearby)
        for feature in _KINDS:
            yield from self._of_kind(feature, getattr(place, feature), year)
        if place.leverage > tables.leverage.highest:
            yield _Reason(ReasonCode.NO_SUCH_COMBINATION, (), None)
        elif place.leverage > tables.leverage.rare:
            yield _Reason(ReasonCode.RARE_COMBINATION, (), None)

    def _of_kind(self, feature: str, kind: _Kind, year: int) -> Iterator[_Reason]:
        tables, text = self._tables, kind if isinstance(kind, str) else str(int(kind))
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


class _Reason(NamedTuple):
    code: ReasonCode
    features: tuple[str, ...]
    fewer_than: int | None


def _beyond(
    value: float,
    reach: Reach,
    codes: tuple[ReasonCode, ReasonCode, ReasonCode, ReasonCode],
    features: tuple[str, ...],
    few: int,
) -> Iterator[_Reason]:
    lowest, low, high, highest = reach
    if value < lowest:
        yield _Reason(codes[0], features, None)
    elif value < low:
        yield _Reason(codes[1], features, few)
    if value > highest:
        yield _Reason(codes[3], features, None)
    elif value > high:
        yield _Reason(codes[2], features, few)


@lru_cache(4096)
def _because(reasons: tuple[_Reason, ...]) -> Support:
    """Return the support with its words, put together once: the same reasons come again."""
    return Support.because(
        SupportReason.of(code, *features, fewer_than=few) for code, features, few in reasons
    )
