"""The fakes keep the promises of the ports that they stand for."""

from __future__ import annotations

import pytest

from contracts.observers import PredictionObserverContract, SeenPredictions
from contracts.outcomes import OutcomeRepositoryContract, Repositories
from contracts.predictions import (
    ColumnarRiskModelContract,
    PredictionRepositoryContract,
    RiskModelContract,
)
from fakes.predictions import (
    FakeColumnarRiskModel,
    FakeOutcomeRepository,
    FakePredictionObserver,
    FakePredictionRepository,
    FakeRiskModel,
)
from stroke.domain.errors import StoreUnavailable
from stroke.domain.patient import OPTIONAL


def _away() -> FakePredictionRepository:
    repository = FakePredictionRepository()
    repository.failing = StoreUnavailable("it went away")
    return repository


class TestFakePredictionRepository(PredictionRepositoryContract):
    @pytest.fixture
    def repository(self) -> FakePredictionRepository:
        return FakePredictionRepository()

    @pytest.fixture
    def away(self) -> FakePredictionRepository:
        return _away()


class TestFakeOutcomeRepository(OutcomeRepositoryContract):
    @pytest.fixture
    def stores(self) -> Repositories:
        predictions = FakePredictionRepository()
        return Repositories(predictions, FakeOutcomeRepository(predictions))

    @pytest.fixture
    def away(self) -> FakeOutcomeRepository:
        return FakeOutcomeRepository(_away())


class TestFakeRiskModel(RiskModelContract):
    @pytest.fixture
    def model(self) -> FakeRiskModel:
        return FakeRiskModel()


class TestFakeRiskModelWithCompanions(RiskModelContract):
    @pytest.fixture
    def model(self) -> FakeRiskModel:
        return FakeRiskModel(may_be_missing=OPTIONAL)


class TestFakeRiskModelThatKnows(RiskModelContract):
    @pytest.fixture
    def model(self) -> FakeRiskModel:
        return FakeRiskModel(may_be_missing=OPTIONAL, knows=True)


class TestFakeColumnarRiskModelThatKnows(ColumnarRiskModelContract):
    @pytest.fixture
    def model(self) -> FakeColumnarRiskModel:
        return FakeColumnarRiskModel(may_be_missing=OPTIONAL, knows=True)


class TestFakeColumnarRiskModelWithCompanions(ColumnarRiskModelContract):
    @pytest.fixture
    def model(self) -> FakeColumnarRiskModel:
        return FakeColumnarRiskModel(may_be_missing=OPTIONAL)


class TestFakeColumnarRiskModel(ColumnarRiskModelContract):
    @pytest.fixture
    def model(self) -> FakeColumnarRiskModel:
        return FakeColumnarRiskModel()


class TestFakePredictionObserver(PredictionObserverContract):
    @pytest.fixture
    def seen(self) -> SeenPredictions:
        return SeenByFake()


class SeenByFake(SeenPredictions):
    def __init__(self) -> None:
        self.observer: FakePredictionObserver = FakePredictionObserver()

    def commits(self) -> int:
        return len(self.observer.seen)

    def predictions(self) -> int:
        return sum(self.observer.seen)
