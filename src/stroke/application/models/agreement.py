"""AgreementService says how far shadows agree with what was answered, from their stored scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stroke.application.models.ports import ShadowScores
from stroke.application.quality.calibration import NORMAL_95
from stroke.application.quality.discrimination import proportion_interval
from stroke.domain.agreement import QUANTILES, AgreementGroup, AgreementReport
from stroke.domain.features import AGE_GROUPS
from stroke.domain.performance import Estimate
from stroke.domain.prediction import PredictionFilter
from stroke.domain.replay import CATEGORIES
from stroke.domain.shadow import ShadowPair

NO_RISK: Final = "has no stored risk"
"""Why a pair counts as not comparable where the row itself has no risk."""

_PAGE: Final = 1_000
_FINEST: Final = 10_000
_NAMES: Final = [each.value for each in CATEGORIES]
_UNKNOWN: Final = "unknown"

Whole = NDArray[np.int64]
Floats = NDArray[np.float64]


class AgreementService:
    """Reads ``scores`` page by page, in constant memory.

    A group of fewer than ``least`` patients says only its size: its figures would be theirs.
    """

    def __init__(self, scores: ShadowScores, *, least: int) -> None:
        self._scores = scores
        self._least = least

    async def versions(self) -> list[str]:
        """Return of which shadows something is stored. Raises ``StoreUnavailable``."""
        return await self._scores.versions()

    async def report(
        self,
        version: str,
        within: PredictionFilter,
        *,
        most: int | None = None,
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> AgreementReport:
        """Return how far the shadow ``version`` agrees, of at most the ``most`` newest predictions.

        ``on_progress`` gets how many were read so far. Raises ``StoreUnavailable``.
        """
        agreement = Agreement(version, least=self._least)
        before, read, is_part = None, 0, False
        while page := await self._scores.pairs(version, within, limit=_PAGE, before=before):
            before = page[-1].prediction_id
            if most is not None and read + len(page) > most:
                page, is_part = page[: most - read], True
            agreement.take(page)
            read += len(page)
            on_progress(read)
            if is_part:
                break
        return agreement.report(is_part=is_part)


class Agreement:
    """Sums up pairs of one shadow."""

    def __init__(self, version: str, *, least: int) -> None:
        self._version = version
        self._least = least
        self._not_comparable: Counter[str] = Counter()
        self._answered_by: Counter[str] = Counter()
        self._sums: dict[tuple[str, str], _Sums] = {("all", "all"): _Sums()}

    def take(self, pairs: Sequence[ShadowPair]) -> None:
        """Add ``pairs``."""
        fit = []
        for each in pairs:
            if each.shadow is None or each.shadow_category not in _NAMES:
                self._not_comparable[each.why_not or _UNKNOWN] += 1
            elif each.answered is None or each.answered_category not in _NAMES:
                self._not_comparable[NO_RISK] += 1
            else:
                fit.append((each, each.shadow - each.answered))
        if not fit:
            return
        difference = np.array([gap for _, gap in fit])
        kept = [each for each, _ in fit]
        self._answered_by.update(each.answered_by or _UNKNOWN for each in kept)
        answered = np.array([_NAMES.index(str(each.answered_category)) for each in kept])
        said = np.array([_NAMES.index(str(each.shadow_category)) for each in kept])
        places: dict[tuple[str, str], list[int]] = {}
        for at, each in enumerate(kept):
            for level in _levels(each):
                places.setdefault(level, []).append(at)
        for level, rows in places.items():
            chosen = np.array(rows)
            sums = self._sums.setdefault(level, _Sums())
            sums.take(difference[chosen], answered[chosen], said[chosen])

    def report(self, *, is_part: bool = False) -> AgreementReport:
        """Return what was found so far."""
        compared = self._sums["all", "all"].rows
        return AgreementReport(
            self._version,
            compared + self._not_comparable.total(),
            is_part,
            dict(sorted(self._not_comparable.items())),
            dict(sorted(self._answered_by.items())),
            [
                sums.found(group, level, self._least)
                for (group, level), sums in sorted(self._sums.items(), key=_in_order)
            ],
        )


def _levels(pair: ShadowPair) -> Iterator[tuple[str, str]]:
    yield "all", "all"
    yield "gender", pair.gender or _UNKNOWN
    yield "age_group", _UNKNOWN if pair.age is None else AGE_GROUPS.label(pair.age)
    yield "smoking_status", pair.smoking_status or _UNKNOWN


_GROUPS: Final = ("all", "gender", "age_group", "smoking_status")


def _in_order(item: tuple[tuple[str, str], _Sums]) -> tuple[int, int, str]:
    (group, level), _ = item
    ages = list(AGE_GROUPS.labels)
    return _GROUPS.index(group), ages.index(level) if level in ages else len(ages), level


class _Sums:
    """Sums of one level."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = self._squares = self._largest = 0.0
        # From -1 to 1 in steps of 0.0001.
        self._fine = np.zeros(2 * _FINEST + 1, np.int64)
        self._table = np.zeros((len(CATEGORIES), len(CATEGORIES)), np.int64)

    def take(self, difference: Floats, answered: Whole, said: Whole) -> None:
        self.rows += len(difference)
        self._sum += float(difference.sum())
        self._squares += float((difference**2).sum())
        self._largest = max(self._largest, float(np.abs(difference).max()))
        place = np.rint(difference * _FINEST).astype(np.int64) + _FINEST
        np.add.at(self._fine, place, 1)
        np.add.at(self._table, (answered, said), 1)

    def found(self, group: str, level: str, least: int) -> AgreementGroup:
        if self.rows < max(least, 1):
            return AgreementGroup(group, level, self.rows)
        mean = self._sum / self.rows
        spread = max(self._squares / self.rows - mean**2, 0.0) ** 0.5
        width = NORMAL_95 * spread / self.rows**0.5
        upto = np.cumsum(self._fine)
        higher, lower = int(np.triu(self._table, 1).sum()), int(np.tril(self._table, -1).sum())
        table: list[list[int]] = self._table.tolist()
        return AgreementGroup(
            group,
            level,
            self.rows,
            Estimate.bounded(mean, mean - width, mean + width, least=-1.0, most=1.0),
            spread,
            self._largest,
            {
                name: (int(np.searchsorted(upto, share * self.rows)) - _FINEST) / _FINEST
                for name, share in QUANTILES.items()
            },
            proportion_interval(higher + lower, self.rows),
            proportion_interval(higher, self.rows),
            proportion_interval(lower, self.rows),
            table,
        )
