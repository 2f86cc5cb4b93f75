"""The application on fakes: real routes and service, no database and no model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dependency_injector import providers
from fastapi import FastAPI

from fakes.access import FakeKeyStore, FakeSessionStore
from fakes.audit import FakeAuditLog
from fakes.clinical import FakeAssessmentStore
from fakes.erasure import FakeErasureJobs, FakeSubjects
from fakes.models import FakeAnsweredRisks, FakeDeploymentStore, FakeShadowScores, FakeTurns
from fakes.platform import FakeReportBoard
from fakes.predictions import FakeOutcomeRepository, FakePredictionRepository, FakeRiskModel
from stroke.application.access.clients import CdsClients
from stroke.application.access.ports import TokenVerifier
from stroke.application.clinical.ports import RecordServer
from stroke.config import Settings
from stroke.container.service import Container
from stroke.domain.further import Further
from stroke.entrypoints.api.app import create_app

MOST_BYTES = 40_000
KEYS_FOR = 0.05


class FakeEngine:
    disposed = False

    async def dispose(self) -> None:
        self.disposed = True


@dataclass
class Parts:
    """What a test may look into behind the HTTP side."""

    app: FastAPI
    repository: FakePredictionRepository
    model: FakeRiskModel
    engine: FakeEngine
    keys: FakeKeyStore
    audit: FakeAuditLog
    erasures: FakeErasureJobs
    sessions: FakeSessionStore
    assessments: FakeAssessmentStore
    subjects: FakeSubjects
    reports: FakeReportBoard
    deployments: FakeDeploymentStore
    scores: FakeShadowScores
    container: Container


def _environment() -> Iterator[tuple[str, str]]:
    # pytest says in the environment which test runs.
    return (each for each in os.environ.items() if each[0] != "PYTEST_CURRENT_TEST")


@cache
def _settings(_known: frozenset[tuple[str, str]], _folder: Path) -> Settings:
    """Return the settings, which are read once for each environment and folder: 8 ms each time."""
    return Settings.load()


class _Sites(dict[int, str | None]):
    """The site of each prediction that the fake repository has."""

    def __init__(self, repository: FakePredictionRepository) -> None:
        super().__init__()
        self._repository = repository

    def get(self, prediction_id: int, default: Any = None) -> Any:
        row = self._repository.rows.get(prediction_id)
        return default if row is None else row.site


def service_parts(
    may_be_missing: tuple[str, ...] = (),
    *,
    rate: dict[str, str] | None = None,
    oidc: dict[str, Any] | None = None,
    verifier: TokenVerifier | None = None,
    knows: bool = False,
    refuse_outside: bool = False,
    session: dict[str, Any] | None = None,
    clinical: dict[str, Any] | None = None,
    erasure: dict[str, Any] | None = None,
    cds_clients: CdsClients | None = None,
    record_server: RecordServer | None = None,
    further: Further = (),
    insecure: bool = False,
    **http: Any,
) -> Parts:
    """Return an application, with these settings changed, on fakes."""
    repository, engine = FakePredictionRepository(), FakeEngine()
    model = FakeRiskModel(may_be_missing, knows=knows, further=further)
    loaded = _settings(frozenset(_environment()), Path.cwd())
    small = loaded.http.model_copy(update={"max_body_bytes": MOST_BYTES, **http})
    quick = loaded.access.model_copy(
        update={"cache_seconds": KEYS_FOR, "pause_seconds": 0.001, "insecure": insecure}
    )
    changed = {
        "http": small,
        "model": loaded.model.model_copy(update={"refuse_outside": refuse_outside}),
        "rate": loaded.rate.model_copy(update=rate or {}),
        "access": quick,
        "session": loaded.session.model_copy(update=session or {}),
        "clinical": loaded.clinical.model_copy(update=clinical or {}),
        "erasure": loaded.erasure.model_copy(update=erasure or {}),
        "oidc": loaded.oidc.model_copy(update=oidc or {}),
    }
    container = Container(settings=loaded.model_copy(update=changed))
    container.repository.override(providers.Object(repository))
    outcomes = FakeOutcomeRepository(repository)
    container.outcome_repository.override(providers.Object(outcomes))
    assessments = FakeAssessmentStore(repository)
    container.assessment_store.override(providers.Object(assessments))
    keys = FakeKeyStore()
    container.key_store.override(providers.Object(keys))
    erasures = FakeErasureJobs(_Sites(repository))
    container.erasure_jobs.override(providers.Object(erasures))
    subjects = FakeSubjects()
    container.subjects.override(providers.Object(subjects))
    container.erasure_worker.override(providers.Object(None))
    reports = FakeReportBoard()
    container.report_board.override(providers.Object(reports))
    sessions = FakeSessionStore()
    container.session_store.override(providers.Object(sessions))
    if verifier is not None:
        container.token_verifier.override(providers.Object(verifier))
    if cds_clients is not None:
        container.cds_clients.override(providers.Object(cds_clients))
    if record_server is not None:
        container.record_server.override(providers.Object(record_server))
    audit = FakeAuditLog()
    container.audit_log.override(providers.Object(audit))
    container.model.override(providers.Object(model))
    deployments = FakeDeploymentStore()
    container.deployment_store.override(providers.Object(deployments))
    scores = FakeShadowScores(repository)
    container.shadow_scores.override(providers.Object(scores))
    container.shadow_store.override(providers.Object(scores))
    container.answered_risks.override(providers.Object(FakeAnsweredRisks(repository)))
    container.turns.override(providers.Object(FakeTurns()))
    container.engine.override(providers.Object(engine))
    return Parts(
        create_app(container),
        repository,
        model,
        engine,
        keys,
        audit,
        erasures,
        sessions,
        assessments,
        subjects,
        reports,
        deployments,
        scores,
        container,
    )
