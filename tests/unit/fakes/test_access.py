"""The fakes of access keep the promises of the ports that they stand for."""

from __future__ import annotations

import pytest

from contracts.access import KeyStoreContract, SessionStoreContract, TokenVerifierContract
from fakes.access import FakeKeyStore, FakeSessionStore, FakeTokenVerifier


class TestFakeKeyStore(KeyStoreContract):
    @pytest.fixture
    def store(self) -> FakeKeyStore:
        return FakeKeyStore()


class TestFakeSessionStore(SessionStoreContract):
    @pytest.fixture
    def sessions(self) -> FakeSessionStore:
        return FakeSessionStore()


class TestFakeTokenVerifier(TokenVerifierContract):
    @pytest.fixture
    def verifier(self) -> FakeTokenVerifier:
        return FakeTokenVerifier()

    @pytest.fixture
    def provider(self, verifier: FakeTokenVerifier) -> FakeTokenVerifier:
        return verifier
