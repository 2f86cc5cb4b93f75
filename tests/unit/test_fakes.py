"""The fakes keep the promises of the ports that they stand for."""

from __future__ import annotations

import pytest

from contracts import PredictionRepositoryContract
from fakes import FakePredictionRepository


class TestFakePredictionRepository(PredictionRepositoryContract):
    @pytest.fixture
    def repository(self) -> FakePredictionRepository:
        return FakePredictionRepository()
