"""Behaviour that every implementation of ``ErasablePlace`` shares; see contracts.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

import pytest

from builders.predictions import NOON
from stroke.application.erasure.ports import ErasablePlace, Retention


class PlaceStage(Protocol):
    """A place, and what puts something of predictions there that were deleted in MySQL."""

    place: ErasablePlace

    async def put(self, *ids: int) -> None: ...


@pytest.mark.anyio
class ErasablePlaceContract:
    """Provide a fixture ``stage`` whose place keeps nothing yet."""

    async def ids_in(self, place: ErasablePlace, *ids: int) -> set[int]:
        return {trace.prediction_id for trace in await place.find(ids)}

    async def test_what_is_erased_is_found_no_more_and_all_else_is(self, stage: PlaceStage) -> None:
        await stage.put(6, 7, 8, 9)
        assert await self.ids_in(stage.place, 7, 9) == {7, 9}

        assert await stage.place.erase({7, 9}) >= 2

        assert await self.ids_in(stage.place, 6, 7, 8, 9) == {6, 8}

    async def test_it_can_be_done_again(self, stage: PlaceStage) -> None:
        await stage.put(6, 7)
        await stage.place.erase([7])

        assert await stage.place.erase([7]) == 0
        assert await self.ids_in(stage.place, 6, 7) == {6}

    async def test_ids_that_nobody_has_change_nothing(self, stage: PlaceStage) -> None:
        await stage.put(7)
        nobody = (0, -7, 70, 2**63 - 1, 2**63, 2**70)

        assert await stage.place.find(nobody) == []
        assert await stage.place.erase(nobody) == 0
        assert await stage.place.find([]) == []
        assert await stage.place.erase([]) == 0
        assert await self.ids_in(stage.place, 7) == {7}

    async def test_to_search_changes_nothing(self, stage: PlaceStage) -> None:
        await stage.put(6, 7)
        found = await stage.place.find([7, 6])

        assert await stage.place.find([6, 7]) == found == sorted(found)
        assert all(trace.where for trace in found)

    async def test_thousands_are_erased_at_once(self, stage: PlaceStage) -> None:
        await stage.put(*range(1, 2_502))

        await stage.place.erase(range(2, 2_502))

        assert await self.ids_in(stage.place, *range(1, 2_502)) == {1}


@pytest.mark.anyio
class RetentionContract:
    """Provide a fixture ``retention`` that keeps what was erased at ``NOON`` for some days."""

    async def test_what_is_kept_has_a_name_and_an_end_that_is_to_come(
        self, retention: Retention
    ) -> None:
        kept = await retention.kept(NOON, now=NOON)

        assert kept
        assert all(each.what for each in kept)
        assert all(each.until is not None and each.until > NOON for each in kept)
        assert await retention.kept(NOON, now=NOON) == kept

    async def test_an_end_that_has_passed_is_none(self, retention: Retention) -> None:
        later = NOON + timedelta(days=3_650)
        assert all(each.until is None for each in await retention.kept(NOON, now=later))
