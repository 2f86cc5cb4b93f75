"""The application on fakes: real routes and service, no database and no model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from dependency_injector import providers
from fastapi import FastAPI

from builders.asgi import connected
from fakes.access import FakeKeyStore
from fakes.audit import FakeAuditLog
from fakes.erasure import FakeErasureJobs
from fakes.predictions import FakeOutcomeRepository, FakePredictionRepository, FakeRiskModel
from stroke.application.access.ports import TokenVerifier
from stroke.config import Settings
from stroke.container.service import Container
from stroke.domain.patient import OPTIONAL
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


class _Sites(dict[int, str | None]):
    """The site of each prediction that the fake repository has."""

    def __init__(self, repository: FakePredictionRepository) -> None:
        super().__init__()
        self._repository = repository

    def get(self, prediction_id: int, default: Any = None) -> Any:
        row = self._repository.rows.get(prediction_id)
        return default if row is None else row.site


@pytest.fixture
def parts() -> Parts:
    return _parts()


@pytest.fixture
def other_parts() -> Parts:
    return _parts()


@pytest.fixture
def tolerant_parts() -> Parts:
    """Parts whose model has companions for whatever may be missing."""
    return _parts(OPTIONAL)


@pytest.fixture
def parts_with() -> Callable[..., Parts]:
    """Return a function that makes the application with other settings, or a verifier of tokens."""
    return _parts


def _parts(
    may_be_missing: tuple[str, ...] = (),
    rate: dict[str, str] | None = None,
    oidc: dict[str, Any] | None = None,
    verifier: TokenVerifier | None = None,
    *,
    knows: bool = False,
    refuse_outside: bool = False,
    **http: Any,
) -> Parts:
    repository, engine = FakePredictionRepository(), FakeEngine()
    model = FakeRiskModel(may_be_missing, knows=knows)
    loaded = Settings.load()
    small = loaded.http.model_copy(update={"max_body_bytes": MOST_BYTES, **http})
    quick = loaded.access.model_copy(update={"cache_seconds": KEYS_FOR, "pause_seconds": 0.001})
    changed = {
        "http": small,
        "model": loaded.model.model_copy(update={"refuse_outside": refuse_outside}),
        "rate": loaded.rate.model_copy(update=rate or {}),
        "access": quick,
        "oidc": loaded.oidc.model_copy(update=oidc or {}),
    }
    container = Container(settings=loaded.model_copy(update=changed))
    container.repository.override(providers.Object(repository))
    outcomes = FakeOutcomeRepository(repository)
    container.outcome_repository.override(providers.Object(outcomes))
    keys = FakeKeyStore()
    container.key_store.override(providers.Object(keys))
    if verifier is not None:
        container.token_verifier.override(providers.Object(verifier))
    audit = FakeAuditLog()
    container.audit_log.override(providers.Object(audit))
    erasures = FakeErasureJobs(_Sites(repository))
    container.erasure_jobs.override(providers.Object(erasures))
    container.erasure_worker.override(providers.Object(None))
    container.model.override(providers.Object(model))
    container.engine.override(providers.Object(engine))
    return Parts(create_app(container), repository, model, engine, keys, audit, erasures)


@pytest.fixture
async def tolerant(tolerant_parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(tolerant_parts.app) as client:
        yield client


@pytest.fixture
async def client(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(parts.app) as client:
        yield client
