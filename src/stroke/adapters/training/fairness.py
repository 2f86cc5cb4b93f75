"""How far apart a model treats groups of the patients that it was trained on, cross-validated."""

from __future__ import annotations

from typing import Any

import numpy as np

from stroke.adapters.training.data import LabelledPatients
from stroke.application.quality.calibration import Floats
from stroke.application.quality.performance import (
    GENDER_LEVELS,
    SMOKING_LEVELS,
    Minimums,
    Sample,
    gaps,
    parts,
)
from stroke.domain.features import AGE_GROUPS
from stroke.domain.performance import Estimate
from stroke.domain.risk import RiskBands


def fairness(data: LabelledPatients, unseen: Floats, bands: RiskBands) -> list[dict[str, Any]]:
    """Return the gaps between genders, age groups and smoking statuses, as a manifest has them.

    ``unseen (N,)`` are probabilities of models that had not seen the patient. Levels that are too
    small for `stroke performance` take no part here either.
    """
    gender, smoking = (data.features[name] for name in ("gender", "smoking_status"))
    age = data.features["age"].to_numpy(np.float64)
    sample = Sample(
        outcome=data.outcome,
        probability=unseen,
        medium=unseen >= bands.medium,
        high=unseen >= bands.high,
        gender=np.array([GENDER_LEVELS.index(each) for each in gender], np.int8),
        age_group=np.searchsorted(AGE_GROUPS.cuts, age, side="right").astype(np.int8),
        variant=np.zeros(len(data), np.int8),
        smoking=np.array([SMOKING_LEVELS.index(each) for each in smoking], np.int8),
        site=np.full(len(data), "", object),
    )
    return [
        {
            "group": gap.group,
            "measure": gap.measure,
            "estimate": None if gap.estimate is None else _figures(gap.estimate),
            "highest": gap.highest,
            "lowest": gap.lowest,
            "left_out": list(gap.left_out),
        }
        for gap in gaps(list(parts(sample)), Minimums())
    ]


def _figures(estimate: Estimate) -> dict[str, float]:
    return {
        "value": float(estimate.value),
        "low": float(estimate.low),
        "high": float(estimate.high),
    }
