"""The curves and groups behind the metrics: what a plot of the cross-validation needs."""

from __future__ import annotations

from typing import Any

from stroke.adapters.training.data import LabelledPatients
from stroke.adapters.training.population import groups_of
from stroke.adapters.training.unseen import unseen_sample
from stroke.application.quality.calibration import Floats
from stroke.application.quality.performance import Minimums, judge
from stroke.domain.performance import ALL, GroupPerformance
from stroke.domain.risk import RiskBands


def cross_validated(data: LabelledPatients, unseen: Floats, bands: RiskBands) -> dict[str, Any]:
    """Return calibration, decision curve and groups, as a manifest has them.

    ``unseen (N,)`` are each patient's mean probability over the repeats of the cross-validation.
    Groups that are too small for `stroke performance` have no measures here either, and data that
    are have no curves.
    """
    sample = unseen_sample(data, unseen, bands)
    everybody = judge(sample, ALL, ALL, minimums=Minimums())
    levels = [
        (name, str(level), (column == level).to_numpy())
        for name, column in groups_of(data).items()
        for level in sorted(column.unique())
    ]
    return {
        "calibration": [each._asdict() for each in everybody.calibration],
        "decision_curve": [each._asdict() for each in everybody.decision_curve],
        "groups": [
            _figures(judge(sample.only(chosen), name, level, minimums=Minimums()))
            for name, level, chosen in levels
        ],
    }


def _figures(found: GroupPerformance) -> dict[str, Any]:
    return {
        "group": found.group,
        "level": found.level,
        "samples": found.samples,
        "events": found.events,
        "measures": {
            name: {part: float(bound) for part, bound in each._asdict().items()}
            for name, each in found.measures.items()
        },
    }
