"""What a model says of predictions that are stored already, next to what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stroke.domain.performance import Estimate
from stroke.domain.risk import RiskCategory

CATEGORIES: Final = tuple(RiskCategory)

CrossTable = Sequence[Sequence[int]]
"""Counts by stored category (rows) and new category (columns), in the order of ``CATEGORIES``."""


class Changed(NamedTuple):
    """One prediction whose risk changed. It names the row and no patient."""

    prediction_id: int
    stored: float
    replayed: float
    stored_category: str | None
    category: str


@dataclass(frozen=True, slots=True)
class SameVersion:
    """Rows that the replayed version itself had made.

    ``identical`` rows have the same bits, category and factors. ``rounded`` ones are off by no
    more than what rounding was allowed. ``different`` is how many are left, ``ids`` names the first
    of them. ``not_compared`` are columns that the source does not have.
    """

    rows: int = 0
    identical: int = 0
    rounded: int = 0
    different: int = 0
    ids: Sequence[int] = ()
    largest_difference: float = 0.0
    not_compared: Sequence[str] = ()


class Share(NamedTuple):
    """How many rows have a difference from ``low`` (included) to ``high``."""

    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True)
class NetReclassification:
    """Net reclassification improvement by categories, over rows with an outcome.

    Pencina et al. 2008 (Statistics in Medicine 27:157): ``events`` is the share of strokes that
    moved to a higher category less the share that moved to a lower one; ``non_events`` the other
    way round for patients without a stroke. The two are not to be added up: their weights differ.
    None where there is nobody.
    """

    strokes: int
    others: int
    events: Estimate | None
    non_events: Estimate | None
    table_of_strokes: CrossTable
    table_of_others: CrossTable


@dataclass(frozen=True, slots=True)
class OtherVersions:
    """Rows that other versions had made: ``versions`` counts them.

    Differences are the replayed risk less the stored one. ``quantiles`` are of their absolute
    values, to 0.0001.
    """

    rows: int = 0
    versions: Mapping[str, int] = field(default_factory=dict)
    mean: float = 0.0
    standard_deviation: float = 0.0
    largest: float = 0.0
    quantiles: Mapping[str, float] = field(default_factory=dict)
    distribution: Sequence[Share] = ()
    table: CrossTable = ()
    without_category: int = 0
    net: NetReclassification | None = None
    worst: Sequence[Changed] = ()


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What ``version`` says of ``rows`` stored predictions.

    ``passed_over`` counts rows that could not be compared, by reason; ``repeated`` ones had come
    before.
    """

    version: str
    rows: int
    compared: int
    repeated: int
    passed_over: Mapping[str, int]
    same: SameVersion
    others: OtherVersions
