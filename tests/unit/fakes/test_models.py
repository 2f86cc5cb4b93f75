"""The fake of the store of deployments keeps the promises of its port."""

from __future__ import annotations

import pytest

from contracts.models import DeploymentStoreContract
from fakes.models import FakeDeploymentStore
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
