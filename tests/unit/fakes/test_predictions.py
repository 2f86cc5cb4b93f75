"""The fakes keep the promises of the ports that they stand for."""

from __future__ import annotations

import pytest

from contracts.outcomes import OutcomeRepositoryContract, Repositories
from contracts.predictions import (
    ColumnarRiskModelContract,
    PredictionRepositoryContract,
    RiskModelContract,
)
from fakes.predictions import (
    FakeColumnarRiskModel,
    FakeOutcomeRepository,
    FakePredictionRepository,
    FakeRiskModel,
)


class TestFakePredictionRepository(PredictionRepositoryContract):
    @pytest.fixture
    def repository(self) -> FakePredictionRepository:
        return FakePredictionRepository()


class TestFakeOutcomeRepository(OutcomeRepositoryContract):
    @pytest.fixture
    def stores(self) -> Repositories:
        predictions = FakePredictionRepository()
        return Repositories(predictions, FakeOutcomeRepository(predictions))


class TestFakeRiskModel(RiskModelContract):
    @pytest.fixture
    def model(self) -> FakeRiskModel:
        return FakeRiskModel()


class TestFakeColumnarRiskModel(ColumnarRiskModelContract):
    @pytest.fixture
    def model(self) -> FakeColumnarRiskModel:
        return FakeColumnarRiskModel()
