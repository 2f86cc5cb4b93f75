"""Behaviour that every implementation of ``DeploymentStore`` shares; see contracts.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from builders.predictions import NOON
from stroke.application.models.ports import DeploymentStore
from stroke.domain.deployment import Change, Deployment
from stroke.domain.errors import DeploymentChanged, StoreUnavailable


def history() -> list[Deployment]:
    """Return a history with each kind of change, texts that are awkward, and microseconds."""
    by = Change(NOON + timedelta(microseconds=1), "user:Ünïcödé 山田 😀", 'it\'s "better" \\ %s')
    begun = Deployment.of_setting("base-1").begun(by)
    entries = [begun]
    steps: tuple[Callable[[Deployment], Deployment], ...] = (
        lambda last: last.with_shadow("shadow-1", by, most=2),
        lambda last: last.with_canary("candidate-1", 0.1, by),
        lambda last: last.with_canary("candidate-1", 1 / 3, Change(NOON, "key:1", None)),
        lambda last: last.without_canary(by, breached=True),
        lambda last: last.promoted("candidate-1", by),
        lambda last: last.rolled_back(by),
        lambda last: last.without_shadow("shadow-1", by),
    )
    for following in steps:
        entries.append(following(entries[-1]))
    return entries


@pytest.mark.anyio
class DeploymentStoreContract:
    """Provide fixtures ``store``, empty, and ``away``, a store that does not answer."""

    async def test_an_empty_store_has_no_deployment(self, store: DeploymentStore) -> None:
        assert await store.latest() is None
        assert await store.history(limit=10) == []

    async def test_deployments_come_back_as_they_were_and_the_last_one_holds(
        self, store: DeploymentStore
    ) -> None:
        entries = history()

        await store.append(entries[:2])
        for entry in entries[2:]:
            await store.append([entry])

            assert await store.latest() == entry
        assert await store.history(limit=100) == entries[::-1]
        assert all(a.number + 1 == b.number for a, b in pairwise(entries))

    async def test_the_history_is_read_page_by_page(self, store: DeploymentStore) -> None:
        await store.append(history())

        assert [each.number for each in await store.history(limit=3)] == [8, 7, 6]
        assert [each.number for each in await store.history(limit=3, before=6)] == [5, 4, 3]
        assert [each.number for each in await store.history(limit=9, before=2)] == [1]
        assert await store.history(limit=9, before=1) == []

    async def test_of_several_who_change_the_same_deployment_one_is_let_in(
        self, store: DeploymentStore
    ) -> None:
        begun, second, *_ = history()
        await store.append([begun])

        async def append() -> bool:
            try:
                await store.append([second])
            except DeploymentChanged:
                return False
            return True

        assert sorted(await asyncio.gather(*(append() for _ in range(5)))) == [False] * 4 + [True]
        assert await store.history(limit=9) == [second, begun]

    async def test_all_entries_are_added_or_none(self, store: DeploymentStore) -> None:
        begun, second, *_ = history()
        await store.append([begun])

        with pytest.raises(DeploymentChanged):
            await store.append([begun, second])
        assert await store.latest() == begun

    async def test_every_call_says_that_the_store_is_away(self, away: DeploymentStore) -> None:
        with pytest.raises(StoreUnavailable):
            await away.latest()
        with pytest.raises(StoreUnavailable):
            await away.history(limit=1)
        with pytest.raises(StoreUnavailable):
            await away.append(history()[:1])
