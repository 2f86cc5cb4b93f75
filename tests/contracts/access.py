"""Behaviour that every implementation of ``KeyStore`` shares; see contracts.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders.access import api_key
from builders.predictions import NOON
from stroke.application.access.ports import KeyStore
from stroke.domain.access import EVERYTHING, Scope
from stroke.domain.errors import KeyNotFound

DAY = timedelta(days=1)


@pytest.mark.anyio
class KeyStoreContract:
    """Provide a fixture ``store``: empty, and new for each test."""

    async def test_a_new_store_has_no_key(self, store: KeyStore) -> None:
        assert list(await store.all()) == []

    async def test_keys_come_back_as_they_were_and_the_oldest_first(self, store: KeyStore) -> None:
        later = api_key(
            "b" * 16,
            name="Ünïcödé 山田 😀 'ward'",
            site="Site-1.a_b",
            scopes=EVERYTHING,
            created_at=NOON + timedelta(microseconds=1),
            expires_at=NOON + 90 * DAY,
            revoked_at=NOON + DAY,
            replaced_by="c" * 16,
        )
        first = api_key("f" * 16, scopes=frozenset({Scope.ALL_SITES}))

        await store.add(later)
        await store.add(first)

        assert list(await store.all()) == [first, later]

    async def test_sites_that_differ_by_case_stay_apart(self, store: KeyStore) -> None:
        await store.add(api_key("1" * 16, site="north"))
        await store.add(api_key("2" * 16, site="North"))

        assert [key.site for key in await store.all()] == ["north", "North"]

    async def test_a_key_is_revoked_once_and_the_first_time_stays(self, store: KeyStore) -> None:
        kept, other = api_key("1" * 16), api_key("2" * 16)
        await store.add(kept)
        await store.add(other)

        await store.revoke(kept.id, NOON + DAY)
        await store.revoke(kept.id, NOON + 2 * DAY)
        await store.revoke(kept.id, NOON + DAY)

        assert list(await store.all()) == [replace(kept, revoked_at=NOON + DAY), other]

    async def test_a_key_that_is_not_there_cannot_be_revoked(self, store: KeyStore) -> None:
        await store.add(api_key("1" * 16))

        for unknown in ("2" * 16, "", "x" * 100):
            with pytest.raises(KeyNotFound):
                await store.revoke(unknown, NOON)

    async def test_a_key_that_is_replaced_ends_at_the_time_given(self, store: KeyStore) -> None:
        former, new = api_key("1" * 16), api_key("2" * 16, created_at=NOON + DAY)
        await store.add(former)

        await store.replace(former.id, new, until=NOON + 2 * DAY)

        ended = replace(former, expires_at=NOON + 2 * DAY, replaced_by=new.id)
        assert list(await store.all()) == [ended, new]

    @pytest.mark.parametrize(("days", "ends"), [(1, 1), (3, 2)])
    async def test_a_key_that_is_replaced_never_lives_longer_for_that(
        self, store: KeyStore, days: int, ends: int
    ) -> None:
        former = api_key("1" * 16, expires_at=NOON + days * DAY)
        await store.add(former)

        await store.replace(
            former.id, api_key("2" * 16, created_at=NOON + DAY), until=NOON + 2 * DAY
        )

        assert (await store.all())[0].expires_at == NOON + ends * DAY

    @pytest.mark.parametrize(
        "fault", [{"revoked_at": NOON}, {"replaced_by": "3" * 16}, {"id": "4" * 16}]
    )
    async def test_only_a_key_that_is_there_and_was_neither_revoked_nor_replaced_is_replaced(
        self, store: KeyStore, fault: dict[str, object]
    ) -> None:
        former = replace(api_key("1" * 16), **fault)  # type: ignore[arg-type]
        await store.add(former)

        with pytest.raises(KeyNotFound):
            await store.replace("1" * 16, api_key("2" * 16), until=NOON + DAY)

        assert list(await store.all()) == [former]
