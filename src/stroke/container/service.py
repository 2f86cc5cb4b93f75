"""Composition root of the service: which adapter stands behind which port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from dependency_injector import containers, providers
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.prometheus.clinical import PrometheusClinicalObserver
from stroke.adapters.prometheus.connections import observe_connections
from stroke.adapters.prometheus.deployment import CanaryMetrics, DeploymentMetrics, ShadowMetrics
from stroke.adapters.prometheus.drift import DriftMetrics, DriftWindow, DriftWindows
from stroke.adapters.prometheus.observer import PrometheusObserver, create_registry
from stroke.adapters.sql.answered_risks import SqlAnsweredRisks
from stroke.adapters.sql.assessments import SqlAssessmentStore
from stroke.adapters.sql.audit import SqlAuditLog
from stroke.adapters.sql.deployments import SqlDeploymentStore
from stroke.adapters.sql.keys import SqlKeyStore
from stroke.adapters.sql.outcomes import SqlOutcomeRepository
from stroke.adapters.sql.reports import SqlReportBoard
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.adapters.sql.sessions import SqlSessionStore
from stroke.adapters.sql.shadow_scores import SqlShadowScores
from stroke.adapters.sql.turns import SqlTurns
from stroke.adapters.sql.used_tokens import SqlTokenLedger
from stroke.application.access.callers import Callers
from stroke.application.access.keys import KeyService
from stroke.application.access.sessions import Sessions
from stroke.application.audit.trail import AuditTrail, RefusalSampler
from stroke.application.models.agreement import AgreementService
from stroke.application.predictions.deployed import Deployed, Serving
from stroke.application.predictions.outcomes import OutcomeService
from stroke.application.predictions.prediction import PredictionService
from stroke.config import ClinicalSettings, DatabaseSettings, Settings
from stroke.container.cds_clients import cds_clients
from stroke.container.clinical import clinical_codes, hospital_service, record_server
from stroke.container.clock import utc_now
from stroke.container.deployments import (
    Watchers,
    canary_guard,
    deployment_service,
    follower_of,
    model_failures,
    notices,
    shadow_scoring,
    shadow_store,
    shared_guard,
    webhook_of,
)
from stroke.container.engines import engine_of
from stroke.container.erasure_jobs import job_service, jobs_of, service_worker, subjects_of
from stroke.container.models import load_model
from stroke.container.openid import (
    browser_sign_in_of,
    documents_of,
    provider_keys_of,
    sign_in_provider_of,
    token_verifier_of,
    tokens_of,
)
from stroke.container.tracing import around_commits, traced, tracing_of
from stroke.domain.drift import References
from stroke.domain.risk import ModelDescription

_Part = TypeVar("_Part")


def _observed_engine(database: DatabaseSettings, registry: CollectorRegistry) -> AsyncEngine:
    engine = engine_of(database, pool_size=database.pool_size)
    observe_connections(engine.sync_engine, registry)
    return engine


def _listing_connections(database: DatabaseSettings) -> int:
    # Whoever made the pool smaller, and chose nothing here, means no more than all but one.
    return min(database.listing_connections, database.most_listings)


def _description(serving: Serving) -> ModelDescription:
    return serving.now.champion.description


def _drift_windows(settings: Settings, metrics: DriftMetrics) -> DriftWindows:
    def opened(histograms: References, version: str) -> DriftWindow:
        return DriftWindow(
            histograms,
            hours=settings.drift.window_hours,
            now=time.time,
            folder=settings.http.metrics_folder,
            model_version=version,
        )

    return DriftWindows(metrics, opened)


def _observer(
    settings: Settings, registry: CollectorRegistry, windows: DriftWindows
) -> PrometheusObserver:
    return PrometheusObserver(registry, windows if settings.drift.enabled else None)


def _swapped(
    settings: Settings, metrics: DeploymentMetrics, windows: DriftWindows
) -> Callable[[Deployed], None]:
    """Return what observes what is served from now on."""

    def swapped(deployed: Deployed) -> None:
        metrics.swapped(deployed)
        if settings.drift.enabled:
            answering = (deployed.champion, deployed.challenger)
            windows.follow([each.description for each in answering if each is not None])

    return swapped


def _has_clients(clinical: ClinicalSettings) -> bool:
    return clinical.clients is not None


def _in_database(
    part: Callable[..., _Part],
    engine: providers.Provider[AsyncEngine],
    settings: providers.Dependency[Settings],
    **options: object,
) -> providers.Singleton[_Part]:
    """Return the provider of a part that reads or writes the service's database."""
    seconds = settings.provided.database.statement_timeout_seconds
    return providers.Singleton(part, engine, statement_timeout=seconds, **options)


class Container(containers.DeclarativeContainer):
    """Builds each part once, on first use, from ``settings``."""

    settings = providers.Dependency(instance_of=Settings)

    metrics_registry = providers.Singleton(create_registry)
    tracing = providers.Singleton(tracing_of, settings.provided.traces)
    engine = providers.Singleton(
        traced,
        providers.Singleton(
            _observed_engine,
            settings.provided.database,
            metrics_registry,
        ),
        tracing,
    )
    repository = _in_database(
        SqlPredictionRepository,
        engine,
        settings,
        check_timeout=settings.provided.database.ready_seconds,
        trial_interval=settings.provided.database.trial_seconds,
        listing_connections=providers.Callable(_listing_connections, settings.provided.database),
    )
    outcome_repository = _in_database(SqlOutcomeRepository, engine, settings)
    outcomes = providers.Singleton(
        OutcomeService, outcome_repository, now=providers.Object(utc_now)
    )
    key_store = _in_database(SqlKeyStore, engine, settings)
    keys = providers.Singleton(KeyService, key_store, now=providers.Object(utc_now))
    documents = providers.Singleton(documents_of, settings.provided.oidc)
    provider_keys = providers.Singleton(provider_keys_of, settings.provided.oidc, documents)
    token_verifier = providers.Singleton(token_verifier_of, settings.provided.oidc, provider_keys)
    tokens = providers.Singleton(
        tokens_of, settings.provided.oidc, token_verifier, providers.Object(utc_now)
    )
    callers = providers.Singleton(
        Callers,
        key_store,
        now=providers.Object(utc_now),
        clock=providers.Object(time.monotonic),
        sleep=providers.Object(asyncio.sleep),
        max_age=settings.provided.access.cache_seconds,
        pause=settings.provided.access.pause_seconds,
        tokens=tokens,
        closed=providers.Callable(_has_clients, settings.provided.clinical),
    )
    token_ledger = _in_database(SqlTokenLedger, engine, settings)
    cds_clients = providers.Singleton(
        cds_clients,
        settings.provided.clinical,
        settings.provided.oidc,
        token_ledger,
        providers.Object(utc_now),
    )
    session_store = _in_database(SqlSessionStore, engine, settings)
    sessions = providers.Singleton(
        Sessions,
        session_store,
        callers,
        now=providers.Object(utc_now),
        idle=providers.Singleton(timedelta, seconds=settings.provided.session.idle_seconds),
        longest=providers.Singleton(timedelta, seconds=settings.provided.session.max_seconds),
    )
    sign_in_provider = providers.Singleton(
        sign_in_provider_of, settings.provided.oidc, documents, provider_keys
    )
    browser_sign_in = providers.Singleton(browser_sign_in_of, settings, sign_in_provider, sessions)
    audit_log = _in_database(SqlAuditLog, engine, settings)
    audit = providers.Singleton(
        AuditTrail,
        audit_log,
        now=providers.Object(utc_now),
        refusals=providers.Singleton(
            RefusalSampler,
            settings.provided.audit.refusals_per_minute,
            providers.Object(time.monotonic),
        ),
    )
    report_board = _in_database(SqlReportBoard, engine, settings)
    erasure_jobs = providers.Singleton(jobs_of, engine, settings.provided.database)
    subjects = providers.Singleton(subjects_of, engine, settings.provided.database)
    erasures = providers.Singleton(
        job_service,
        erasure_jobs,
        subjects,
        settings.provided.erasure,
        providers.Object(utc_now),
    )
    erasure_worker = providers.Singleton(
        service_worker, erasure_jobs, engine, audit, settings, providers.Object(utc_now)
    )
    model = providers.Singleton(load_model, settings.provided.model)
    serving = providers.Singleton(Serving, model)
    served = providers.Callable(_description, serving)
    drift_metrics = providers.Singleton(DriftMetrics, metrics_registry)
    drift_windows = providers.Singleton(_drift_windows, settings, drift_metrics)
    observer = providers.Singleton(_observer, settings, metrics_registry, drift_windows)
    swapped = providers.Singleton(
        _swapped,
        settings,
        providers.Singleton(DeploymentMetrics, metrics_registry),
        drift_windows,
    )
    deployment_store = _in_database(SqlDeploymentStore, engine, settings)
    follower = providers.Singleton(
        follower_of, deployment_store, serving, settings.provided.model, swapped
    )
    deployments = providers.Singleton(
        deployment_service,
        deployment_store,
        model,
        settings,
        audit,
        providers.Object(utc_now),
        follower.provided.loaded,
    )
    shadow_scores = _in_database(SqlShadowScores, engine, settings)
    agreement = providers.Singleton(
        AgreementService, shadow_scores, least=settings.provided.shadow.least
    )
    shadow_store = providers.Singleton(shadow_store, settings.provided.database)
    model_failures = providers.Singleton(model_failures, settings.provided.http.log_seconds)
    shadows = providers.Singleton(
        shadow_scoring,
        serving,
        settings.provided.shadow,
        providers.Singleton(ShadowMetrics, metrics_registry),
        shadow_store.provider,
        providers.Object(utc_now),
        model_failures,
    )
    canary_guard = providers.Singleton(canary_guard, serving, settings.provided.canary)
    answered_risks = _in_database(SqlAnsweredRisks, engine, settings)
    turns = _in_database(SqlTurns, engine, settings)
    shared_guard = providers.Singleton(
        shared_guard,
        deployment_store,
        answered_risks,
        outcome_repository,
        turns,
        settings.provided.canary,
        providers.Object(utc_now),
    )
    webhook = providers.Singleton(webhook_of, settings.provided.model)
    notices = providers.Singleton(notices, settings.provided.model, webhook)
    canary_metrics = providers.Singleton(CanaryMetrics, metrics_registry)
    watchers = providers.Singleton(Watchers, observer, canary_guard, model_failures)
    predictions = providers.Singleton(
        PredictionService,
        serving=serving,
        ran=watchers.provided.ran,
        stored=shadows.provided.committed,
        repository=repository,
        observer=watchers,
        now=providers.Object(utc_now),
        queue_capacity=settings.provided.queue.capacity,
        commit_size=settings.provided.queue.commit_size,
        key_lifetime=providers.Singleton(timedelta, hours=settings.provided.idempotency.hours),
        around_commit=providers.Singleton(around_commits, tracing),
    )
    assessment_store = _in_database(SqlAssessmentStore, engine, settings)
    clinical_observer = providers.Singleton(PrometheusClinicalObserver, metrics_registry)
    code_book = providers.Singleton(clinical_codes, settings.provided.clinical)
    record_server = providers.Singleton(record_server, settings.provided.clinical)
    hospital = providers.Singleton(
        hospital_service,
        settings.provided.clinical,
        code_book,
        predictions,
        assessment_store,
        clinical_observer,
        settings.provided.model.refuse_outside,
        record_server,
    )
