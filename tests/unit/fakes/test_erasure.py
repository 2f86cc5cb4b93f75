"""The fakes of the erasure wing keep the promises of its ports."""

from __future__ import annotations

from datetime import datetime

import pytest

from contracts.erasure import (
    ErasablePlaceContract,
    ErasureJobsContract,
    OldRowsContract,
    PutChart,
    PutRows,
    PutTimes,
    RetentionContract,
    SubjectsContract,
    ValueSearchContract,
)
from fakes.erasure import (
    FakeErasureJobs,
    FakeOldRows,
    FakePlace,
    FakeRetention,
    FakeSubjects,
    FakeValueSearch,
)
from stroke.domain.errors import StoreUnavailable


class Stage:
    def __init__(self) -> None:
        self.place = FakePlace()

    async def put(self, *ids: int) -> None:
        self.place.kept |= set(ids)


class TestFakePlace(ErasablePlaceContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return Stage()


class ValueStage:
    def __init__(self) -> None:
        self.search = FakeValueSearch()

    async def put(self, *texts: str) -> None:
        self.search.texts += texts


class TestFakeValueSearch(ValueSearchContract):
    @pytest.fixture
    def stage(self) -> ValueStage:
        return ValueStage()


class TestFakeRetention(RetentionContract):
    @pytest.fixture
    def retention(self) -> FakeRetention:
        return FakeRetention()


class TestFakeErasureJobs(ErasureJobsContract):
    @pytest.fixture
    def jobs(self) -> FakeErasureJobs:
        return FakeErasureJobs()

    @pytest.fixture
    def away(self) -> FakeErasureJobs:
        away = FakeErasureJobs()
        away.failing = StoreUnavailable("away")
        return away

    @pytest.fixture
    def put_rows(self, jobs: FakeErasureJobs) -> PutRows:
        async def put(sites: dict[int, str | None]) -> None:
            jobs.sites |= sites

        return put


class TestFakeOldRows(OldRowsContract):
    @pytest.fixture
    def rows(self) -> FakeOldRows:
        return FakeOldRows()

    @pytest.fixture
    def away(self) -> FakeOldRows:
        away = FakeOldRows()
        away.failing = StoreUnavailable("away")
        return away

    @pytest.fixture
    def put_times(self, rows: FakeOldRows) -> PutTimes:
        async def put(times: dict[int, datetime | None]) -> None:
            rows.times |= times

        return put


class TestFakeSubjects(SubjectsContract):
    @pytest.fixture
    def subjects(self) -> FakeSubjects:
        return FakeSubjects()

    @pytest.fixture
    def away(self) -> FakeSubjects:
        away = FakeSubjects()
        away.failing = StoreUnavailable("away")
        return away

    @pytest.fixture
    def put_chart(self, subjects: FakeSubjects) -> PutChart:
        async def put(subject: str, server: str | None, prediction: int, site: str | None) -> None:
            subjects.charts.append((subject, server, prediction, site))

        return put
