"""The fakes of the models wing keep the promises of their ports."""

from __future__ import annotations

import pytest

from contracts.models import (
    Answered,
    AnsweredRisksContract,
    DeploymentStoreContract,
    Scored,
    ShadowScoresContract,
    Told,
    TurnsContract,
    WebhookContract,
)
from fakes.models import (
    FakeAnsweredRisks,
    FakeDeploymentStore,
    FakeShadowScores,
    FakeTurns,
    FakeWebhook,
)
from fakes.predictions import FakePredictionRepository
from stroke.domain.errors import EndpointUnavailable, StoreUnavailable


class TestFakeDeploymentStore(DeploymentStoreContract):
    @pytest.fixture
    def store(self) -> FakeDeploymentStore:
        return FakeDeploymentStore()

    @pytest.fixture
    def away(self) -> FakeDeploymentStore:
        store = FakeDeploymentStore()
        store.failing = StoreUnavailable("away")
        return store


class TestFakeShadowScores(ShadowScoresContract):
    @pytest.fixture
    def scored(self) -> Scored:
        predictions = FakePredictionRepository()
        return Scored(FakeShadowScores(predictions), predictions)

    @pytest.fixture
    def away(self) -> FakeShadowScores:
        store = FakeShadowScores(FakePredictionRepository())
        store.failing = StoreUnavailable("away")
        return store


class TestFakeTurns(TurnsContract):
    @pytest.fixture
    def turns(self) -> FakeTurns:
        return FakeTurns()

    @pytest.fixture
    def away(self) -> FakeTurns:
        turns = FakeTurns()
        turns.failing = StoreUnavailable("away")
        return turns


class _ToldFake(Told):
    def __init__(self) -> None:
        self._fake = FakeWebhook()
        self.webhook = self._fake

    def documents(self) -> list[object]:
        return self._fake.documents

    def refuse(self) -> None:
        self._fake.failing = EndpointUnavailable("away")


class TestFakeWebhook(WebhookContract):
    @pytest.fixture
    def told(self) -> _ToldFake:
        return _ToldFake()


class TestFakeAnsweredRisks(AnsweredRisksContract):
    @pytest.fixture
    def answered(self) -> Answered:
        predictions = FakePredictionRepository()
        return Answered(FakeAnsweredRisks(predictions), predictions)

    @pytest.fixture
    def away(self) -> FakeAnsweredRisks:
        risks = FakeAnsweredRisks(FakePredictionRepository())
        risks.failing = StoreUnavailable("away")
        return risks
