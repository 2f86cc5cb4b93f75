"""The fakes of access keep the promises of the ports that they stand for."""

from __future__ import annotations

import pytest

from contracts.access import KeyStoreContract, TokenVerifierContract
from fakes.access import FakeKeyStore, FakeTokenVerifier


class TestFakeKeyStore(KeyStoreContract):
    @pytest.fixture
    def store(self) -> FakeKeyStore:
        return FakeKeyStore()


class TestFakeTokenVerifier(TokenVerifierContract):
    @pytest.fixture
    def verifier(self) -> FakeTokenVerifier:
        return FakeTokenVerifier()

    @pytest.fixture
    def provider(self, verifier: FakeTokenVerifier) -> FakeTokenVerifier:
        return verifier
