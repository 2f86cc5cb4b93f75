"""The fake of the audit log keeps the promises of its port."""

from __future__ import annotations

import pytest

from contracts.audit import AuditLogContract
from fakes.audit import FakeAuditLog
from stroke.domain.errors import StoreUnavailable


class TestFakeAuditLog(AuditLogContract):
    @pytest.fixture
    def log(self) -> FakeAuditLog:
        return FakeAuditLog()

    @pytest.fixture
    def away(self) -> FakeAuditLog:
        log = FakeAuditLog()
        log.failing = StoreUnavailable("away")
        return log
