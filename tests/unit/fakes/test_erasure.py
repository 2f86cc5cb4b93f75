"""The fake of an erasable place keeps the promises of its port."""

from __future__ import annotations

import pytest

from contracts.erasure import ErasablePlaceContract, RetentionContract
from fakes.erasure import FakePlace, FakeRetention


class Stage:
    def __init__(self) -> None:
        self.place = FakePlace()

    async def put(self, *ids: int) -> None:
        self.place.kept |= set(ids)


class TestFakePlace(ErasablePlaceContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return Stage()


class TestFakeRetention(RetentionContract):
    @pytest.fixture
    def retention(self) -> FakeRetention:
        return FakeRetention()
