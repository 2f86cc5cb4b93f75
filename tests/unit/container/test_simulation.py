"""The patients that a model is verified on."""

from __future__ import annotations

import numpy as np

from fakes.predictions import FakeColumnarRiskModel
from stroke.application.predictions.soundness import soundness
from stroke.container.simulation import verification_patients
from stroke.domain.features import RAW_FEATURES


def test_a_model_is_verified_on_thousands_of_complete_patients() -> None:
    patients = verification_patients()

    assert tuple(patients) == RAW_FEATURES
    assert len(patients["bmi"]) > 5_000
    assert not np.isnan(patients["bmi"]).any()
    assert soundness(FakeColumnarRiskModel(), patients).is_sound
