"""The fakes of access keep the promises of the ports that they stand for."""

from __future__ import annotations

import pytest

from contracts.access import (
    CdsClient,
    ClientTokenVerifierContract,
    KeyStoreContract,
    SessionStoreContract,
    SignInProviderContract,
    TokenLedgerContract,
    TokenVerifierContract,
)
from fakes.access import (
    EHR,
    FakeClientTokenVerifier,
    FakeKeyStore,
    FakeSessionStore,
    FakeSignInProvider,
    FakeTokenLedger,
    FakeTokenVerifier,
)
from stroke.domain.errors import StoreUnavailable


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


class TestFakeClientTokenVerifier(ClientTokenVerifierContract):
    @pytest.fixture
    def verifier(self) -> FakeClientTokenVerifier:
        return FakeClientTokenVerifier()

    @pytest.fixture
    def client(self, verifier: FakeClientTokenVerifier) -> CdsClient:
        return CdsClient(EHR, verifier.sign)


class TestFakeTokenLedger(TokenLedgerContract):
    @pytest.fixture
    def ledger(self) -> FakeTokenLedger:
        return FakeTokenLedger()

    @pytest.fixture
    def again(self, ledger: FakeTokenLedger) -> FakeTokenLedger:
        return ledger

    @pytest.fixture
    def away(self) -> FakeTokenLedger:
        ledger = FakeTokenLedger()
        ledger.failing = StoreUnavailable("it went away")
        return ledger


class TestFakeSignInProvider(SignInProviderContract):
    @pytest.fixture
    def sign_in(self) -> FakeSignInProvider:
        return FakeSignInProvider()

    @pytest.fixture
    def site(self, sign_in: FakeSignInProvider) -> FakeSignInProvider:
        return sign_in
