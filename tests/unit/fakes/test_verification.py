"""The fakes of source, copies and change log keep the promises of their ports."""

from __future__ import annotations

import pytest

from contracts.copies import (
    NAME,
    ChangeLogContract,
    CopyStage,
    LogStage,
    ReplicaContract,
    SourceOfTruthContract,
    TruthStage,
    digest,
    stored_row,
)
from fakes.pipeline import FakeLake
from fakes.verification import PARTITION, FakeReplica, FakeSource
from stroke.application.pipeline.consistency import Lineage
from stroke.domain.errors import ReplicaUnavailable, StoreUnavailable


class FakeTruth(TruthStage):
    def __init__(self) -> None:
        self.source: FakeSource = FakeSource({})

    async def store(self, number: int, name: str = NAME) -> None:
        self.source.rows[number] = digest(number, name)
        self.source.commits += 1


class TestFakeSource(SourceOfTruthContract):
    @pytest.fixture
    def truth(self) -> FakeTruth:
        return FakeTruth()

    @pytest.fixture
    def away(self) -> FakeSource:
        source = FakeSource({1: b"row"})
        source.failing = StoreUnavailable("away")
        return source


class FakeCopy(CopyStage):
    partition = PARTITION

    def __init__(self, *, lags: bool) -> None:
        self.replica: FakeReplica = FakeReplica({}, lags=lags)
        self.replica.at = -1

    async def store(self, number: int, name: str = NAME) -> None:
        self.replica.rows[number] = digest(number, name)
        self.replica.whole[number] = stored_row(number, name)
        self.replica.at += 1

    async def erase(self, number: int) -> None:
        del self.replica.rows[number]
        self.replica.at += 1


class TestFakeReplica(ReplicaContract):
    @pytest.fixture(params=[False, True])
    def copied(self, request: pytest.FixtureRequest) -> FakeCopy:
        return FakeCopy(lags=request.param)

    @pytest.fixture
    def away(self) -> FakeReplica:
        replica = FakeReplica({1: b"row"})
        replica.failing = ReplicaUnavailable("away")
        return replica


class FakeLog(LogStage):
    partition = PARTITION

    def __init__(self) -> None:
        self.log: FakeLake = FakeLake()

    async def write(self, cluster: str, records: int) -> None:
        last = self.log.written
        before = last.offsets[PARTITION] if last and last.cluster_id == cluster else -1
        self.log.written = Lineage(cluster, {PARTITION: before + records})


class TestFakeLake(ChangeLogContract):
    @pytest.fixture
    def logged(self) -> FakeLog:
        return FakeLog()

    @pytest.fixture
    def away(self) -> FakeLake:
        lake = FakeLake()
        lake.failing = ReplicaUnavailable("away")
        return lake
