"""How far apart a model treats groups of the patients that it was trained on, cross-validated."""

from __future__ import annotations

from typing import Any

from stroke.adapters.training.data import LabelledPatients
from stroke.adapters.training.unseen import unseen_sample
from stroke.application.quality.calibration import Floats
from stroke.application.quality.performance import Minimums, gaps, parts, sums_of
from stroke.domain.performance import Estimate
from stroke.domain.risk import RiskBands


def fairness(data: LabelledPatients, unseen: Floats, bands: RiskBands) -> list[dict[str, Any]]:
    """Return the gaps between genders, age groups and smoking statuses, as a manifest has them.

    ``unseen (N,)`` are probabilities of models that had not seen the patient. Levels that are too
    small for `stroke performance` take no part here either.
    """
    sample = unseen_sample(data, unseen, bands)
    return [
        {
            "group": gap.group,
            "measure": gap.measure,
            "estimate": None if gap.estimate is None else _figures(gap.estimate),
            "highest": gap.highest,
            "lowest": gap.lowest,
            "left_out": list(gap.left_out),
        }
        for gap in gaps(sums_of(parts(sample)), Minimums())
    ]


def _figures(estimate: Estimate) -> dict[str, float]:
    return {
        "value": float(estimate.value),
        "low": float(estimate.low),
        "high": float(estimate.high),
    }
