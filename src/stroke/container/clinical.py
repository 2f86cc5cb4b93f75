"""Composition of what reads charts of hospitals: the codes, the rules, the model."""

from __future__ import annotations

from datetime import UTC, datetime

from stroke.adapters.clinical_codes.files import read_code_book
from stroke.application.clinical.assessing import ChartAssessment
from stroke.application.clinical.hospital import HospitalService
from stroke.application.clinical.ports import AssessmentStore, ClinicalObserver
from stroke.application.predictions.ports import RiskModel
from stroke.application.predictions.prediction import PredictionService
from stroke.config import ClinicalSettings
from stroke.domain.clinical.codes import CodeBook
from stroke.domain.clinical.mapping import MappingRules
from stroke.domain.risk import RiskCategory


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
        settings.max_notes,
        settings.max_basis,
    )


def chart_assessment(settings: ClinicalSettings, model: RiskModel) -> ChartAssessment:
    """Return what assesses charts with ``model``. Raises ``InvalidCodes``."""
    return ChartAssessment(model, clinical_codes(settings), mapping_rules(settings), now=_now)


def hospital_service(  # noqa: PLR0917 -- the container passes them in order
    settings: ClinicalSettings,
    model: RiskModel,
    book: CodeBook,
    predictions: PredictionService,
    store: AssessmentStore,
    observer: ClinicalObserver,
    refuse_outside: bool,
) -> HospitalService:
    """Return what answers record systems."""
    charts = ChartAssessment(model, book, mapping_rules(settings), now=_now)
    shows_from = RiskCategory(settings.card_from)
    return HospitalService(
        charts,
        predictions,
        store,
        observer,
        shows_from=shows_from,
        refuse_outside=refuse_outside,
        now=_now,
    )


def _now() -> datetime:
    return datetime.now(UTC)
