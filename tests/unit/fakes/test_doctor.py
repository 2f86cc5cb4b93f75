"""The fakes of what the doctor examines keep the promises of its ports."""

from __future__ import annotations

import pytest

from contracts.doctor import (
    EXPOSED,
    OLDEST,
    MetricsContract,
    PredictionApiContract,
    RegistryStage,
    SchemaContract,
    SchemaRegistryProbeContract,
)
from fakes.doctor import AWAY, FakeApi, FakeMetrics, FakeRegistry, FakeSchema
from fakes.verification import FakeReplica, FakeSource
from stroke.domain.errors import BrokerUnavailable, StoreUnavailable


class TestFakeApi(PredictionApiContract):
    @pytest.fixture
    def api(self) -> FakeApi:
        return FakeApi(FakeSource({}), [FakeReplica({})])

    @pytest.fixture
    def away(self, api: FakeApi) -> FakeApi:
        api.failing = {"live", "ready", "predict", "provinces", "erase"}
        return api

    @pytest.fixture
    def other(self, away: FakeApi) -> FakeApi:
        return away


class TestFakeSchema(SchemaContract):
    @pytest.fixture
    def schema(self) -> FakeSchema:
        return FakeSchema()

    @pytest.fixture
    def older(self, schema: FakeSchema) -> FakeSchema:
        schema.found = OLDEST
        return schema

    @pytest.fixture
    def bare(self, schema: FakeSchema) -> FakeSchema:
        schema.found = None
        return schema

    @pytest.fixture
    def away(self, schema: FakeSchema) -> FakeSchema:
        schema.failing = StoreUnavailable("away")
        return schema


class FakeRegistered(RegistryStage):
    def __init__(self) -> None:
        self.registry: FakeRegistry = FakeRegistry()

    def register(self, subject: str, *columns: str) -> None:
        self.registry.versions.setdefault(subject, []).append(columns)


class TestFakeRegistry(SchemaRegistryProbeContract):
    @pytest.fixture
    def registered(self) -> FakeRegistered:
        return FakeRegistered()

    @pytest.fixture
    def away(self) -> FakeRegistry:
        registry = FakeRegistry()
        registry.failing = BrokerUnavailable("away")
        return registry


class TestFakeMetrics(MetricsContract):
    @pytest.fixture
    def metrics(self) -> FakeMetrics:
        metrics = FakeMetrics(EXPOSED)
        metrics.set("stroke_lag", 3.0, sink='a "b" \\\n', of="all")
        return metrics

    @pytest.fixture
    def silent(self) -> FakeMetrics:
        return FakeMetrics(())

    @pytest.fixture
    def away(self, metrics: FakeMetrics) -> FakeMetrics:
        metrics.failing = AWAY
        return metrics
