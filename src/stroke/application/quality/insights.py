"""InsightsService: what was estimated for whom, in numbers that show no patient."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from stroke.application.predictions.ports import PredictionRepository
from stroke.application.quality.discrimination import proportion_interval
from stroke.application.quality.drift import watched
from stroke.domain.drift import BinCounts, Drift, drift
from stroke.domain.performance import Estimate
from stroke.domain.prediction import PredictionFilter, PredictionRecord, Span
from stroke.domain.risk import ModelDescription, RiskCategory

_PAGE: Final = 1_000
_BIN: Final = 0.02
_BINS: Final = 20
_AGES: Final = ((40, "0 to 39"), (55, "40 to 54"), (65, "55 to 64"), (75, "65 to 74"))
_OLDEST: Final = "75 and older"
UNKNOWN: Final = "unknown"
"""The label of those about whom a row says nothing."""
SMALLEST_GROUP: Final = 10
"""Smaller groups show nothing but their size."""


@dataclass(frozen=True, slots=True)
class Group:
    """The estimates of one group of people, by band; the bands are empty for a small group."""

    label: str
    size: int
    bands: Mapping[str, int] = field(default_factory=dict)
    high: Estimate | None = None
    """The share in the band High, with its 95 % interval (Wilson's)."""


@dataclass(frozen=True, slots=True)
class Insights:
    """What was estimated. ``is_part`` says that only the newest estimates were counted."""

    size: int
    is_part: bool
    made: Span | None
    by_day: Mapping[date, int]
    bands: Mapping[str, int]
    high: Estimate | None
    distribution: Sequence[int]
    """Estimates by 2 in 100, up to 40; the last has all above."""
    ages: Sequence[Group]
    genders: Sequence[Group]
    provinces: Sequence[Group]
    support: Mapping[str, int]
    drifts: Sequence[Drift]
    of_served_model: int
    sites: Sequence[Group] = ()
    """Empty where the estimates are those of one site."""


class InsightsService:
    """Counts stored predictions: at most the ``most`` newest ones, page by page."""

    def __init__(
        self, *, repository: PredictionRepository, served: Callable[[], ModelDescription], most: int
    ) -> None:
        self._repository = repository
        self._served = served
        self._most = most

    async def report(self, within: PredictionFilter) -> Insights:
        """Return what was estimated within ``within``. Raises ``StoreUnavailable``."""
        records: list[PredictionRecord] = []
        before = None
        while len(records) <= self._most and (
            page := await self._repository.page(within, limit=_PAGE, before=before)
        ):
            before = page[-1].id
            # No more of a row is kept than is counted.
            records += [replace(record, name=None, contributing_factors=None) for record in page]
        is_part = len(records) > self._most
        # It takes a while with thousands of records: other requests are served meanwhile.
        counted = await asyncio.to_thread(self._counted, records[: self._most], is_part=is_part)
        return counted if within.site is None else replace(counted, sites=())

    def _counted(self, records: Sequence[PredictionRecord], *, is_part: bool) -> Insights:
        bands = Counter(record.risk_category for record in records)
        served = self._served()
        mine = [record for record in records if record.model_version == served.version]
        return Insights(
            size=len(records),
            is_part=is_part,
            made=Span.over(record.timestamp for record in records),
            by_day=Counter(record.timestamp.date() for record in records if record.timestamp),
            bands={each: bands[each] for each in RiskCategory},
            high=_share(bands[RiskCategory.HIGH], len(records)),
            distribution=_distribution(record.probability for record in records),
            ages=_groups(records, _age, [label for _, label in _AGES] + [_OLDEST, UNKNOWN]),
            genders=_groups(records, lambda record: record.gender or UNKNOWN),
            provinces=_groups(records, lambda record: record.province or UNKNOWN),
            support=Counter(_support(record.prediction_data) for record in records),
            drifts=_drifts(mine, served),
            of_served_model=len(mine),
            sites=_groups(records, lambda record: record.site or UNKNOWN),
        )


def _drifts(records: Sequence[PredictionRecord], served: ModelDescription) -> list[Drift]:
    found = []
    for name, histogram in served.histograms.items():
        counts = BinCounts.of(histogram)
        counts.add(histogram, (watched(record, name, histogram) for record in records))
        found.append(drift(name, histogram, counts))
    return found


def _share(count: int, size: int) -> Estimate | None:
    return proportion_interval(count, size) if size else None


def _distribution(probabilities: Iterable[float | None]) -> list[int]:
    counts = [0] * (_BINS + 1)
    for p in probabilities:
        if p is not None and 0 <= p <= 1:
            # 0.06 / 0.02 is 2.999...: what stands at a cut belongs above it.
            counts[min(int(p / _BIN + 1e-9), _BINS)] += 1
    return counts


def _age(record: PredictionRecord) -> str:
    if record.age is None:
        return UNKNOWN
    return next((label for below, label in _AGES if record.age < below), _OLDEST)


def _groups(
    records: Sequence[PredictionRecord],
    label_of: Callable[[PredictionRecord], str],
    order: Sequence[str] = (),
) -> list[Group]:
    """Return the groups in ``order``, or else the largest first."""
    sizes: Counter[str] = Counter()
    bands: Counter[tuple[str, str | None]] = Counter()
    for record in records:
        label = label_of(record)
        sizes[label] += 1
        bands[label, record.risk_category] += 1
    labels = [each for each in order if sizes[each]] or [each for each, _ in sizes.most_common()]
    return [
        Group(label, sizes[label])
        if sizes[label] < SMALLEST_GROUP
        else Group(
            label,
            sizes[label],
            {str(each): bands[label, each] for each in RiskCategory},
            _share(bands[label, RiskCategory.HIGH], sizes[label]),
        )
        for label in labels
    ]


def _support(data: Any) -> str:
    found = data.get("support") if isinstance(data, Mapping) else None
    level = found.get("level") if isinstance(found, Mapping) else None
    return str(level) if level in ("within", "edge", "outside") else UNKNOWN
