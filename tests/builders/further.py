"""Features that a model declares for itself, as the public data set has them, and others."""

from __future__ import annotations

from typing import Final

from stroke.domain.further import FeatureKind, FurtherFeature

MARRIED: Final = FurtherFeature("ever_married", FeatureKind.CATEGORY, categories=("No", "Yes"))
WORK: Final = FurtherFeature(
    "work_type",
    FeatureKind.CATEGORY,
    categories=("children", "Govt_job", "Never_worked", "Private", "Self-employed"),
    reference="Private",
)
RESIDENCE: Final = FurtherFeature(
    "Residence_type", FeatureKind.CATEGORY, categories=("Rural", "Urban")
)
DATA_SET: Final = (MARRIED, WORK, RESIDENCE)
"""What every published model of the public data set uses besides the seven measurements."""

WAIST: Final = FurtherFeature(
    "waist", FeatureKind.NUMBER, 40, 200, unit="cm", may_be_missing=True, reference=90.0
)
DIABETES: Final = FurtherFeature("diabetes", FeatureKind.FLAG)
ALCOHOL: Final = FurtherFeature(
    "alcohol", FeatureKind.CATEGORY, categories=("none", "some"), may_be_missing=True
)
OF_ALL_KINDS: Final = (WAIST, DIABETES, ALCOHOL)
