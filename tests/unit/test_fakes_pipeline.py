"""The fake Connect keeps the promises of its ports."""

from __future__ import annotations

import pytest

from contracts_pipeline import ConnectContract
from fakes_pipeline import FakeConnect
from stroke.application.connector_rules import JDBC_SINK


class TestFakeConnect(ConnectContract):
    @pytest.fixture
    def connect(self) -> FakeConnect:
        return FakeConnect({JDBC_SINK: frozenset({"tasks.max", "topics", "errors.tolerance"})})

    @pytest.fixture
    def name(self) -> str:
        return "a-sink"

    @pytest.fixture
    def config(self) -> dict[str, str]:
        return {"connector.class": JDBC_SINK, "tasks.max": "1", "topics": "changes"}
