"""Patients whom the scoring model had not seen, as the quality measures take them."""

from __future__ import annotations

import numpy as np

from stroke.adapters.training.data import LabelledPatients
from stroke.application.quality.calibration import Floats
from stroke.application.quality.performance import GENDER_LEVELS, SMOKING_LEVELS, Sample
from stroke.domain.features import AGE_GROUPS
from stroke.domain.risk import RiskBands


def unseen_sample(data: LabelledPatients, unseen: Floats, bands: RiskBands) -> Sample:
    """Return all patients with the cross-validated probabilities ``unseen (N,)``."""
    gender, smoking = (data.features[name] for name in ("gender", "smoking_status"))
    age = data.features["age"].to_numpy(np.float64)
    return Sample(
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
