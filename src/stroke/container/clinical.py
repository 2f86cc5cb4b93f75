"""Composition of what reads charts of hospitals: the codes, the rules, the model."""

from __future__ import annotations

from stroke.adapters.clinical_codes.files import read_code_book
from stroke.application.clinical.assessing import ChartAssessment
from stroke.application.predictions.ports import RiskModel
from stroke.config import ClinicalSettings
from stroke.container.service import utc_now
from stroke.domain.clinical.codes import CodeBook
from stroke.domain.clinical.mapping import MappingRules


def clinical_codes(settings: ClinicalSettings) -> CodeBook:
    """Return the codes that charts are read by. Raises ``InvalidCodes``."""
    return read_code_book(settings.codes)


def mapping_rules(settings: ClinicalSettings) -> MappingRules:
    """Return what the settings decide of the mapping."""
    return MappingRules(
        settings.heart_disease,
        frozenset(settings.past_counts),
        settings.glucose,
        settings.adult_age,
    )


def chart_assessment(settings: ClinicalSettings, model: RiskModel) -> ChartAssessment:
    """Return what assesses charts with ``model``. Raises ``InvalidCodes``."""
    return ChartAssessment(model, clinical_codes(settings), mapping_rules(settings), now=utc_now)
