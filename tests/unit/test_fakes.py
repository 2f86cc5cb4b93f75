"""The fakes keep the promises of the ports that they stand for."""

from __future__ import annotations

import pytest

from contracts import PredictionRepositoryContract, RiskModelContract
from fakes import FakePredictionRepository, FakeRiskModel


class TestFakePredictionRepository(PredictionRepositoryContract):
    @pytest.fixture
    def repository(self) -> FakePredictionRepository:
        return FakePredictionRepository()


class TestFakeRiskModel(RiskModelContract):
    @pytest.fixture
    def model(self) -> FakeRiskModel:
        return FakeRiskModel()
