"""The fakes of the ports of charts keep their promises."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contracts.clinical import (
    AssessmentStoreContract,
    ClinicalObserverContract,
    RecordServerContract,
    Stores,
)
from fakes.clinical import FakeAssessmentStore, FakeClinicalObserver, FakeRecordServer
from fakes.predictions import FakePredictionRepository
from stroke.domain.errors import StoreUnavailable


class TestFakeAssessmentStore(AssessmentStoreContract):
    @pytest.fixture
    def stores(self) -> Stores:
        predictions = FakePredictionRepository()
        return Stores(predictions, FakeAssessmentStore(predictions))

    @pytest.fixture
    def away(self) -> FakeAssessmentStore:
        predictions = FakePredictionRepository()
        predictions.failing = StoreUnavailable("it went away")
        return FakeAssessmentStore(predictions)


class TestFakeClinicalObserver(ClinicalObserverContract):
    @pytest.fixture
    def observer(self) -> FakeClinicalObserver:
        return FakeClinicalObserver()

    @pytest.fixture
    def seen(self, observer: FakeClinicalObserver) -> Callable[[], dict[str, float]]:
        return lambda: dict(observer.seen)


class TestFakeRecordServer(RecordServerContract):
    @pytest.fixture
    def server(self) -> FakeRecordServer:
        return FakeRecordServer()

    @pytest.fixture
    def record(self, server: FakeRecordServer) -> FakeRecordServer:
        return server
