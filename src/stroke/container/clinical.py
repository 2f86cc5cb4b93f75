"""Composition of what reads charts of hospitals: the codes, the rules, the model."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network

from stroke.adapters.clinical_codes.files import read_code_book
from stroke.adapters.record_servers.http import HttpRecordServer
from stroke.application.clinical.assessing import ChartAssessment
from stroke.application.clinical.fetching import ChartFetching, FetchLimits
from stroke.application.clinical.hospital import HospitalService
from stroke.application.clinical.ports import AssessmentStore, ClinicalObserver, RecordServer
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
    book, rules = clinical_codes(settings), mapping_rules(settings)
    return ChartAssessment(lambda: model, book, rules, now=_now)


def hospital_service(  # noqa: PLR0917 -- the container passes them in order
    settings: ClinicalSettings,
    book: CodeBook,
    predictions: PredictionService,
    store: AssessmentStore,
    observer: ClinicalObserver,
    refuse_outside: bool,
    record_server: RecordServer,
) -> HospitalService:
    """Return what answers record systems."""
    rules = mapping_rules(settings)
    charts = ChartAssessment(lambda: predictions.deployed.champion, book, rules, now=_now)
    shows_from = RiskCategory(settings.card_from)
    return HospitalService(
        charts,
        predictions,
        store,
        observer,
        fetching=_fetching(settings, book, observer, record_server),
        shows_from=shows_from,
        refuse_outside=refuse_outside,
        now=_now,
    )


def record_server(settings: ClinicalSettings) -> RecordServer:
    """Return what asks the FHIR servers of clients."""
    return HttpRecordServer([ip_network(each) for each in settings.fhir_networks])


def _fetching(
    settings: ClinicalSettings, book: CodeBook, observer: ClinicalObserver, server: RecordServer
) -> ChartFetching:
    limits = FetchLimits(
        settings.fetch_seconds,
        settings.fetch_max_bytes,
        settings.fetch_max_pages,
        settings.fetch_connections,
    )
    return ChartFetching(server, settings.fhir_servers, book, observer, limits)


def _now() -> datetime:
    return datetime.now(UTC)
