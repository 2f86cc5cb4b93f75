"""The fakes of the models wing keep the promises of their ports."""

from __future__ import annotations

import pytest

from contracts.models import DeploymentStoreContract, Scored, ShadowScoresContract, TurnsContract
from fakes.models import FakeDeploymentStore, FakeShadowScores, FakeTurns
from fakes.predictions import FakePredictionRepository
from stroke.domain.errors import StoreUnavailable


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
