"""How far a shadow agrees with what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from stroke.domain.performance import Estimate
from stroke.domain.replay import CrossTable

QUANTILES: Final = {
    "p1": 0.01,
    "p5": 0.05,
    "p25": 0.25,
    "p50": 0.5,
    "p75": 0.75,
    "p95": 0.95,
    "p99": 0.99,
}
"""The shares of the differences for which a report gives the quantile."""


@dataclass(frozen=True, slots=True)
class AgreementGroup:
    """Predictions of one level of a group; everybody is the group and level ``all``.

    Differences are the shadow's probability less the one that was answered. ``mean`` has its 95 %
    interval (normal); ``quantiles`` are exact to 0.0001. ``changed``, ``up`` and ``down`` are the
    shares of patients whom the shadow puts into another, a higher or a lower category, with
    Wilson's intervals. ``table`` counts by the answered category (rows) and the shadow's. A group
    that is too small says only how many were ``compared``: all else is None or empty.
    """

    group: str
    level: str
    compared: int
    mean: Estimate | None = None
    standard_deviation: float | None = None
    largest: float | None = None
    quantiles: Mapping[str, float] = field(default_factory=dict)
    changed: Estimate | None = None
    up: Estimate | None = None
    down: Estimate | None = None
    table: CrossTable = ()


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """How far the shadow ``model_version`` agrees with what was answered.

    ``predictions`` is how many it was asked about; ``not_comparable`` counts by the reason those
    of which it, or the row, has no risk. ``answered_by`` counts the others by the version that
    answered. ``is_part`` says that only the newest predictions were read. ``groups`` begin with
    everybody.
    """

    model_version: str
    predictions: int
    is_part: bool
    not_comparable: Mapping[str, int]
    answered_by: Mapping[str, int]
    groups: Sequence[AgreementGroup]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        groups = [
            asdict(group)
            | {
                name: None if (found := getattr(group, name)) is None else found._asdict()
                for name in ("mean", "changed", "up", "down")
            }
            for group in self.groups
        ]
        return asdict(self) | {"groups": groups}
