"""The fakes of access keep the promises of the ports that they stand for."""

from __future__ import annotations

import pytest

from contracts.access import KeyStoreContract
from fakes.access import FakeKeyStore


class TestFakeKeyStore(KeyStoreContract):
    @pytest.fixture
    def store(self) -> FakeKeyStore:
        return FakeKeyStore()
