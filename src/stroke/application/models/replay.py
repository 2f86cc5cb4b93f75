"""Replay: stored predictions scored again, by the version that made them or by another.

Everything here works on Arrow batches and numpy arrays of one batch, and keeps sums: memory does
not grow with the rows, but for one bit per id, and what is known of outcomes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stroke.application.models.columns import (
    IMPLAUSIBLE,
    LACKING,
    Coded,
    Features,
    Floats,
    Mask,
    Whole,
    as_the_model_takes,
    floats,
    read_features,
    read_further,
    unfit,
    with_progress,
)
from stroke.application.models.ids import KnownOutcomes, SeenIds
from stroke.application.predictions.columnar import ColumnarRiskModel, Scores, factor_texts
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES
from stroke.domain.performance import Estimate
from stroke.domain.replay import (
    CATEGORIES,
    Changed,
    CrossTable,
    NetReclassification,
    OtherVersions,
    ReplayReport,
    SameVersion,
    Share,
)

STORED: Final = pa.schema(
    [
        pa.field("prediction_id", pa.int64()),
        pa.field("timestamp_us", pa.int64()),
        *(
            pa.field(name, pa.string() if name in TEXT_FEATURES else pa.float64())
            for name in RAW_FEATURES
        ),
        pa.field("probability", pa.float64()),
        pa.field("risk_category", pa.string()),
        pa.field("model_version", pa.string()),
        pa.field("contributing_factors", pa.string()),
    ]
)
"""Columns that a batch has, but for ``MAY_LACK``. ``op``, of a change log, and ``stroke`` (bool)
may be there too, and where the model declares features of its own ``prediction_data`` or columns
of them."""

CATEGORY: Final = "risk_category"
FACTORS: Final = "contributing_factors"
MAY_LACK: Final = (CATEGORY, FACTORS)
"""Columns that a file need not have: they are not compared then. NULL in them is a difference."""

NO_RISK: Final = "has no stored risk"

_MADE: Final = pa.array(["c", "r"])
"""Events that say of a prediction when it was made, or when a snapshot read it."""

# onnxruntime rounds the last digit of a sum by where its row lies in the registers, and the last
# row of an odd number in a third way: what a commit shared by few gave, a large run may not.
_PLACES: Final = 8
_FINEST: Final = 10_000
_QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
_STEPS: Final = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_EDGES: Final = np.array([-1.0, *(-step for step in reversed(_STEPS)), *_STEPS, 1.0])
_NAMES: Final = tuple(each.value for each in CATEGORIES)
_NORMAL_95: Final = 1.959963984540054
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What is replayed, and what the report says of it.

    ``since`` is included and ``until`` is not; both are aware. ``rounding`` is how many units in
    the last place a probability of the same version may differ by. At most ``ids`` rows
    that differ are named, and ``worst`` of those of other versions.
    """

    since: datetime | None = None
    until: datetime | None = None
    rounding: int = 0
    ids: int = 1_000
    worst: int = 10


class Replay:
    """Takes batches of ``STORED`` and sums up what ``model`` says of them."""

    def __init__(
        self, model: ColumnarRiskModel, options: ReplayOptions, outcomes: KnownOutcomes
    ) -> None:
        self._model = model
        self._version = model.description.version
        self._options = options
        self._outcomes = outcomes
        self._seen = SeenIds()
        self._rows = self._compared = self._repeated = 0
        self._passed_over: Counter[str] = Counter()
        self._same = _Same(options)
        self._others = _Others(options.worst)

    def run(
        self,
        batches: Iterable[pa.RecordBatch],
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> ReplayReport:
        """Replay all ``batches``; ``on_progress`` gets the number of rows read so far."""
        for batch in with_progress(batches, on_progress):
            self.take(batch)
        return self.report()

    def take(self, batch: pa.RecordBatch) -> None:
        """Replay the rows of one batch."""
        rows = self._within(batch)
        if not rows.num_rows:
            return
        ids = rows.column("prediction_id").to_numpy()
        new = self._seen.first_time(ids)
        self._repeated += int((~new).sum())
        rows = rows.filter(pa.array(new))
        self._rows += rows.num_rows
        further = self._model.description.further
        read = read_features(rows) | read_further(rows, further)
        fit = self._fit(read, floats(rows, "probability"))
        if not fit.any():
            return
        self._compared += int(fit.sum())
        if not fit.all():
            rows = rows.filter(pa.array(fit))
            read = {name: values[fit] for name, values in read.items()}
        stored = _Stored.of(rows, self._outcomes)
        features = as_the_model_takes(read, further)
        mine = stored.version.is_equal_to(self._version)
        if mine.any():
            own = {name: values[mine] for name, values in features.items()}
            self._check(stored.at(mine), own, self._model.score(own))
        if not mine.all():
            risks = self._model.risks({name: each[~mine] for name, each in features.items()})
            category = risks.categories(self._model.description)
            self._others.take(stored.at(~mine), risks.probability, category)

    def pass_over(self, reason: str) -> None:
        """Count a row that could not even be read."""
        self._rows += 1
        self._passed_over[reason] += 1

    def report(self) -> ReplayReport:
        """Return what was found so far."""
        return ReplayReport(
            self._version,
            self._rows,
            self._compared,
            self._repeated,
            dict(sorted(self._passed_over.items())),
            self._same.found(),
            self._others.found(),
        )

    def _within(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        kept = pc.is_valid(batch.column("prediction_id"))
        if "op" in batch.schema.names:
            kept = pc.and_(kept, pc.is_in(batch.column("op"), value_set=_MADE))
        made = batch.column("timestamp_us")
        if self._options.since is not None:
            kept = pc.and_(kept, pc.greater_equal(made, _micros(self._options.since)))
        if self._options.until is not None:
            kept = pc.and_(kept, pc.less(made, _micros(self._options.until)))
        return batch.filter(kept)  # a comparison with NULL keeps no row

    def _fit(self, read: Features, probability: Floats) -> Mask:
        """Return which rows can be compared, and count the others."""
        lacking, wrong = unfit(read, self._model.description)
        no_risk = ~((probability >= 0) & (probability <= 1))
        for reason, found in (
            (NO_RISK, no_risk),
            (IMPLAUSIBLE, wrong & ~no_risk),
            (LACKING, lacking & ~wrong & ~no_risk),
        ):
            if count := int(found.sum()):
                self._passed_over[reason] += count
        fit: Mask = ~(no_risk | wrong | lacking)
        return fit

    def _check(self, stored: _Stored, features: Features, scores: Scores) -> None:
        """Compare rows of the replayed version itself with what it says now."""
        equal = self._equal(stored, scores)
        nearest = np.abs(scores.probability - stored.probability)
        near = self._near(stored, scores)
        left = np.flatnonzero(~equal)
        if len(left):
            again = self._model.score(
                {name: np.repeat(values[left], _PLACES) for name, values in features.items()}
            )
            many = stored.at(np.repeat(left, _PLACES))
            equal[left] = self._equal(many, again).reshape(-1, _PLACES).any(axis=1)
            near[left] |= self._near(many, again).reshape(-1, _PLACES).any(axis=1)
        for row in np.flatnonzero(~equal).tolist():
            alone = self._model.score(
                {name: each[row : row + 1] for name, each in features.items()}
            )
            here = stored.at(np.array([row]))
            equal[row] = self._equal(here, alone)[0]
            near[row] |= self._near(here, alone)[0]
        self._same.take(stored, equal, near, nearest)

    def _equal(self, stored: _Stored, scores: Scores) -> Mask:
        equal: Mask = stored.probability == scores.probability
        return equal & self._agrees(stored, scores)

    def _near(self, stored: _Stored, scores: Scores) -> Mask:
        allowed = self._options.rounding * np.spacing(scores.probability)
        gap = np.abs(stored.probability - scores.probability)
        near: Mask = gap <= allowed
        return near & self._agrees(stored, scores)

    def _agrees(self, stored: _Stored, scores: Scores) -> Mask:
        """Return whether category and factors are the same, where the source has them."""
        same: Mask = np.ones(len(stored.ids), np.bool_)
        if CATEGORY in stored.has:
            same &= stored.category == scores.categories(self._model.description)
        if FACTORS in stored.has:
            same &= stored.factors.equal(factor_texts(scores))
        return same


@dataclass(frozen=True, slots=True)
class _Stored:
    """What rows say of their predictions; ``category`` is -1 where it is none of ours.

    ``has`` are those of ``MAY_LACK`` that their source has; the others are as if each were NULL.
    """

    ids: Whole
    probability: Floats
    category: Whole
    version: Coded
    factors: Coded
    stroke: NDArray[np.int8]
    has: frozenset[str]

    @classmethod
    def of(cls, rows: pa.RecordBatch, outcomes: KnownOutcomes) -> _Stored:
        ids = rows.column("prediction_id").to_numpy()
        has = frozenset(MAY_LACK) & frozenset(rows.schema.names)
        nothing = pa.nulls(rows.num_rows, pa.string())
        categories = Coded.of(rows.column(CATEGORY) if CATEGORY in has else nothing)
        place = np.array(
            [_NAMES.index(each) if each in _NAMES else -1 for each in categories.texts],
            np.int64,
        )
        if "stroke" in rows.schema.names:
            flags = rows.column("stroke").cast(pa.int8())
            stroke = pc.fill_null(flags, -1).to_numpy(zero_copy_only=False)
        else:
            stroke = outcomes.of(ids)
        return cls(
            ids,
            floats(rows, "probability"),
            place[categories.codes],
            Coded.of(rows.column("model_version")),
            Coded.of(rows.column(FACTORS) if FACTORS in has else nothing, _factors),
            stroke,
            has,
        )

    def at(self, rows: Whole | Mask) -> _Stored:
        return _Stored(
            self.ids[rows],
            self.probability[rows],
            self.category[rows],
            self.version.at(rows),
            self.factors.at(rows),
            self.stroke[rows],
            self.has,
        )


class _Same:
    """Sums of the rows that the replayed version had made."""

    def __init__(self, options: ReplayOptions) -> None:
        self._most = options.ids
        self._rows = self._identical = self._rounded = self._different = 0
        self._ids: list[int] = []
        self._largest = 0.0
        self._lacked: set[str] = set()

    def take(self, stored: _Stored, equal: Mask, near: Mask, gap: Floats) -> None:
        ids, different = stored.ids, ~equal & ~near
        self._lacked.update(set(MAY_LACK) - stored.has)
        self._rows += len(ids)
        self._identical += int(equal.sum())
        self._rounded += int((near & ~equal).sum())
        self._different += int(different.sum())
        self._ids += ids[different][: max(self._most - len(self._ids), 0)].tolist()
        if different.any():
            self._largest = max(self._largest, float(gap[different].max()))

    def found(self) -> SameVersion:
        return SameVersion(
            self._rows,
            self._identical,
            self._rounded,
            self._different,
            self._ids,
            self._largest,
            [name for name in MAY_LACK if name in self._lacked],
        )


class _Others:
    """Sums of the rows that other versions had made."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows = self._without_category = 0
        self._versions: Counter[str] = Counter()
        self._sum = self._squares = self._largest = 0.0
        self._fine = np.zeros(_FINEST + 1, np.int64)
        self._coarse = np.zeros(len(_EDGES) - 1, np.int64)
        # of everybody, of strokes, of patients without one
        self._tables = np.zeros((3, len(CATEGORIES), len(CATEGORIES)), np.int64)
        self._worst: list[Changed] = []

    def take(self, stored: _Stored, probability: Floats, category: Whole) -> None:
        difference = probability - stored.probability
        size = np.abs(difference)
        self._rows += len(size)
        self._sum += float(difference.sum())
        self._squares += float((difference**2).sum())
        self._largest = max(self._largest, float(size.max()))
        self._fine += np.bincount(np.floor(size * _FINEST).astype(np.int64), minlength=_FINEST + 1)
        self._coarse += np.histogram(difference, _EDGES)[0]
        for text, count in zip(
            stored.version.texts,
            np.bincount(stored.version.codes, minlength=len(stored.version.texts)).tolist(),
            strict=True,
        ):
            if count:
                self._versions[text or "unknown"] += count
        self._cross(stored, category)
        self._keep_worst(stored, probability, category, size)

    def _cross(self, stored: _Stored, category: Whole) -> None:
        known, struck = stored.category >= 0, stored.stroke == 1
        self._without_category += int((~known).sum())
        for place, chosen in enumerate((known, known & struck, known & (stored.stroke == 0))):
            np.add.at(self._tables[place], (stored.category[chosen], category[chosen]), 1)

    def _keep_worst(
        self, stored: _Stored, probability: Floats, category: Whole, size: Floats
    ) -> None:
        if not self._most:
            return
        rows = np.arange(len(size))
        if len(size) > self._most:
            rows = np.argpartition(-size, self._most)[: self._most]
        least = -1.0
        if len(self._worst) == self._most:
            least = abs(self._worst[-1].replayed - self._worst[-1].stored)
        for row in rows[size[rows] > least].tolist():
            at = int(stored.category[row])
            self._worst.append(
                Changed(
                    int(stored.ids[row]),
                    float(stored.probability[row]),
                    float(probability[row]),
                    CATEGORIES[at].value if at >= 0 else None,
                    CATEGORIES[int(category[row])].value,
                )
            )
        self._worst.sort(key=lambda each: (-abs(each.replayed - each.stored), each.prediction_id))
        del self._worst[self._most :]

    def found(self) -> OtherVersions:
        if not self._rows:
            return OtherVersions()
        mean = self._sum / self._rows
        spread = max(self._squares / self._rows - mean**2, 0.0) ** 0.5
        upto = np.cumsum(self._fine)
        return OtherVersions(
            rows=self._rows,
            versions=dict(sorted(self._versions.items())),
            mean=mean,
            standard_deviation=spread,
            largest=self._largest,
            quantiles={
                name: float(np.searchsorted(upto, share * self._rows) / _FINEST)
                for name, share in _QUANTILES.items()
            },
            distribution=[
                Share(low, high, rows)
                for low, high, rows in zip(
                    _EDGES[:-1].tolist(), _EDGES[1:].tolist(), self._coarse.tolist(), strict=True
                )
            ],
            table=_table(self._tables[0]),
            without_category=self._without_category,
            net=self._net(),
            worst=tuple(self._worst),
        )

    def _net(self) -> NetReclassification | None:
        strokes, others = self._tables[1], self._tables[2]
        if not strokes.sum() + others.sum():
            return None
        return NetReclassification(
            int(strokes.sum()),
            int(others.sum()),
            net_share(strokes, up=True),
            net_share(others, up=False),
            _table(strokes),
            _table(others),
        )


def net_share(table: Whole, *, up: bool) -> Estimate | None:
    """Return the share of rows that moved up less the share that moved down (or the reverse).

    The interval is normal, with the variance of a difference of two shares of one multinomial
    (Pencina et al. 2011, Statistics in Medicine 30:11). None without rows.
    """
    count = int(table.sum())
    if not count:
        return None
    higher = float(np.triu(table, 1).sum()) / count
    lower = float(np.tril(table, -1).sum()) / count
    value = higher - lower if up else lower - higher
    width = _NORMAL_95 * ((higher + lower - value**2) / count) ** 0.5
    return Estimate.bounded(value, value - width, value + width, least=-1.0, most=1.0)


def _factors(text: str) -> str | None:
    """Return names of factors joined by ``;``, from JSON or from a cell of a file."""
    if not text.startswith("["):
        return text
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(each, str) for each in names):
        return None
    return ";".join(names)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _table(counts: Whole) -> CrossTable:
    found: list[list[int]] = counts.tolist()
    return found
