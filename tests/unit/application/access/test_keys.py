"""Making, listing, revoking and replacing keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.predictions import NOON
from fakes.access import FakeKeyStore
from stroke.application.access.keys import KeyService, NewKey, hashed, matches, parsed
from stroke.domain.access import ApiKey, Scope
from stroke.domain.errors import InvalidAccess, KeyNotFound, StoreUnavailable

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(clock: Clock) -> KeyService:
    return KeyService(FakeKeyStore(), now=clock)


async def make(keys: KeyService, lifetime: timedelta | None = None, name: str = "ward") -> NewKey:
    return await keys.create(name=name, site="north", scopes=["read"], lifetime=lifetime)


async def test_a_key_has_an_id_and_a_secret_of_which_a_hash_is_kept(keys: KeyService) -> None:
    made = await make(keys)

    [kept] = await keys.all()
    parts = parsed(made.text)
    assert parts is not None
    key_id, secret = parts
    assert kept == made.key
    assert kept.id == key_id
    assert (kept.name, kept.site, kept.scopes) == ("ward", "north", frozenset({Scope.READ}))
    assert matches(secret, kept.secret_hash)
    assert secret not in repr(kept)
    assert made.text not in repr(made)


async def test_no_two_keys_are_alike(keys: KeyService) -> None:
    made = [await make(keys) for _ in range(50)]

    assert len({each.text for each in made}) == len({each.key.id for each in made}) == 50
    assert len({each.key.secret_hash for each in made}) == 50


@given(st.text(max_size=80))
def test_text_that_is_no_key_has_no_parts(text: str) -> None:
    assert parsed(text) is None


def test_a_key_with_anything_around_it_is_none() -> None:
    text = f"stroke_{'a' * 16}_{'b' * 43}"
    assert parsed(text) == ("a" * 16, "b" * 43)
    for near in (text + "\n", " " + text, text.upper(), text[:-1], text + "b", text[1:]):
        assert parsed(near) is None


def test_a_secret_matches_its_own_hash_only() -> None:
    assert matches("b" * 43, hashed("b" * 43))
    assert not matches("b" * 42 + "c", hashed("b" * 43))
    assert not matches("", "0" * 64)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"site": "a b"},
        {"scopes": ["delete"]},
        {"lifetime": timedelta(0)},
        {"lifetime": -DAY},
        {"lifetime": 10_000 * 365 * DAY},
    ],
)
async def test_a_key_that_cannot_be_is_not_made(keys: KeyService, wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"name": "ward", "site": "north", "scopes": ["read"]}
    with pytest.raises(InvalidAccess):
        await keys.create(**{**fields, **wrong})  # type: ignore[arg-type]
    assert list(await keys.all()) == []


async def test_a_key_lives_as_long_as_asked(keys: KeyService) -> None:
    assert (await make(keys)).key.expires_at is None
    assert (await make(keys, 90 * DAY)).key.expires_at == NOON + 90 * DAY


async def test_a_key_is_revoked_by_its_id_once(keys: KeyService, clock: Clock) -> None:
    made, other = await make(keys), await make(keys)

    [revoked] = await keys.revoke(made.key.id)
    clock.now += DAY
    [again] = await keys.revoke(made.key.id)

    assert revoked.revoked_at == again.revoked_at == NOON
    assert {key.id: key.revoked_at for key in await keys.all()} == {
        made.key.id: NOON,
        other.key.id: None,
    }


async def test_a_name_revokes_each_key_in_force_that_has_it(keys: KeyService) -> None:
    first, second, other = await make(keys), await make(keys), await make(keys, name="other")
    await keys.revoke(first.key.id)
    third = await make(keys)

    assert {key.id for key in await keys.revoke("ward")} == {second.key.id, third.key.id}
    with pytest.raises(KeyNotFound):
        await keys.revoke("ward")
    assert [key.id for key in await keys.all() if key.in_force(NOON)] == [other.key.id]


async def test_a_whole_key_counts_as_its_id(keys: KeyService) -> None:
    made, other = await make(keys), await make(keys, name="other")

    new, former = await keys.rotate(made.text, overlap=DAY)
    [revoked] = await keys.revoke(f" {other.text[:-1]}\n")

    assert (former.id, former.replaced_by) == (made.key.id, new.key.id)
    assert revoked.id == other.key.id


@pytest.mark.parametrize("around", ["{}", "x{}", "{} and more"])
async def test_a_key_that_is_not_found_is_not_repeated(keys: KeyService, around: str) -> None:
    await make(keys)
    text = f"stroke_{'0' * 16}_{'s' * 43}"

    for change in (keys.revoke, partial(keys.rotate, overlap=DAY)):
        with pytest.raises(KeyNotFound) as refused:
            await change(around.format(text))
        assert "s" * 42 not in str(refused.value)


async def test_a_change_is_within_what_encloses_it_and_does_not_begin_without(
    keys: KeyService,
) -> None:
    seen: list[tuple[list[str], int, int]] = []

    @asynccontextmanager
    async def around(ids: Sequence[str]) -> AsyncIterator[None]:
        before = list(await keys.all())
        yield
        after = list(await keys.all())
        changed = [key for key in after if key not in before]
        seen.append((sorted(ids), len(after) - len(before), len(changed)))

    made = await keys.create(name="ward", site="north", scopes=["read"], around=around)
    new, former = await keys.rotate("ward", overlap=DAY, around=around)
    await keys.revoke("ward", around=around)
    given = f"stroke_{'c' * 16}_{'d' * 43}"
    for _ in range(2):
        await keys.adopt(text=given, name="admin", site="main", scopes=["admin"], around=around)

    both = sorted([made.key.id, new.key.id])
    assert former.id == made.key.id
    assert seen == [
        ([made.key.id], 1, 1),
        ([made.key.id], 1, 2),
        (both, 0, 2),
        (["c" * 16], 1, 1),
    ]

    @asynccontextmanager
    async def refusing(_: Sequence[str]) -> AsyncIterator[None]:
        raise StoreUnavailable("away")
        yield

    stored = list(await keys.all())
    another = f"stroke_{'e' * 16}_{'d' * 43}"
    for change in (
        partial(keys.create, name="other", site="north", scopes=["read"]),
        partial(keys.revoke, stored[-1].id),
        partial(keys.rotate, "admin", overlap=DAY),
        partial(keys.adopt, text=another, name="a", site="main", scopes=["admin"]),
    ):
        with pytest.raises(StoreUnavailable):
            await change(around=refusing)
    assert list(await keys.all()) == stored


async def test_a_rotation_makes_a_like_key_and_lets_the_former_one_run_out(
    keys: KeyService, clock: Clock
) -> None:
    made = await make(keys)
    clock.now += DAY

    new, former = await keys.rotate("ward", overlap=2 * DAY)

    assert (new.key.name, new.key.site, new.key.scopes) == (
        "ward",
        "north",
        frozenset({Scope.READ}),
    )
    assert (former.id, former.expires_at) == (made.key.id, NOON + 3 * DAY)
    assert former.replaced_by == new.key.id
    assert list(await keys.all()) == [former, new.key]
    assert former.in_force(NOON + 2 * DAY)


async def test_a_key_made_by_a_rotation_lives_as_long_as_the_former_or_as_asked(
    keys: KeyService, clock: Clock
) -> None:
    await make(keys, 10 * DAY)
    clock.now += DAY

    new, former = await keys.rotate("ward", overlap=30 * DAY)
    assert former.expires_at == NOON + 10 * DAY
    assert new.key.expires_at == NOON + 11 * DAY

    newest, _ = await keys.rotate(new.key.id, overlap=timedelta(0), lifetime=DAY)
    assert newest.key.expires_at == NOON + 2 * DAY


async def test_what_was_revoked_replaced_or_has_expired_is_not_rotated(
    keys: KeyService, clock: Clock
) -> None:
    revoked, replaced, expired = (
        await make(keys, name="a"),
        await make(keys, name="b"),
        await make(keys, DAY, name="c"),
    )
    await keys.revoke(revoked.key.id)
    await keys.rotate(replaced.key.id, overlap=9 * DAY)
    clock.now += DAY

    for which in (revoked.key.id, replaced.key.id, expired.key.id, "a", "c", "nobody"):
        with pytest.raises(KeyNotFound):
            await keys.rotate(which, overlap=DAY)


async def test_a_name_of_several_keys_does_not_say_which_to_rotate(keys: KeyService) -> None:
    first, second = await make(keys), await make(keys)

    with pytest.raises(KeyNotFound) as raised:
        await keys.rotate("ward", overlap=DAY)

    assert first.key.id in str(raised.value)
    assert second.key.id in str(raised.value)


async def test_a_negative_overlap_is_refused_and_changes_nothing(keys: KeyService) -> None:
    made = await make(keys)
    with pytest.raises(InvalidAccess, match="overlap"):
        await keys.rotate("ward", overlap=-DAY)
    assert list(await keys.all()) == [made.key]


GIVEN = f"stroke_{'a' * 16}_{'B' * 43}"


async def adopt(keys: KeyService, text: str = GIVEN) -> ApiKey | None:
    return await keys.adopt(text=text, name="admin", site="platform", scopes=["admin", "all-sites"])


async def test_a_key_that_was_made_elsewhere_is_stored_once(keys: KeyService, clock: Clock) -> None:
    adopted = await adopt(keys)
    clock.now += DAY

    assert await adopt(keys) is None
    assert list(await keys.all()) == [adopted]
    assert adopted is not None
    assert adopted.id == "a" * 16
    assert matches("B" * 43, adopted.secret_hash)
    assert adopted.scopes == frozenset({Scope.ADMIN, Scope.ALL_SITES})
    assert (adopted.created_at, adopted.expires_at) == (NOON, None)


async def test_a_revoked_key_does_not_come_back_by_being_adopted(
    keys: KeyService, clock: Clock
) -> None:
    await adopt(keys)
    await keys.revoke("admin")

    assert await adopt(keys) is None
    [kept] = await keys.all()
    assert kept.state(clock.now) == "revoked"


@given(st.text(max_size=80))
async def test_what_is_no_key_is_not_adopted_and_not_quoted(text: str) -> None:
    keys = KeyService(FakeKeyStore(), now=Clock())

    with pytest.raises(InvalidAccess) as refused:
        await adopt(keys, text)

    assert [each.field for each in refused.value.violations] == ["key"]
    assert len(text) < 10 or text not in str(refused.value)
    assert list(await keys.all()) == []


async def test_a_key_with_the_id_of_another_one_is_not_adopted(keys: KeyService) -> None:
    await adopt(keys)

    with pytest.raises(InvalidAccess, match="has the id of another key"):
        await adopt(keys, GIVEN[:-1] + "C")

    [kept] = await keys.all()
    assert matches("B" * 43, kept.secret_hash)


class Overtaken(FakeKeyStore):
    """Another process stores ``first`` between this one's look and its own key."""

    def __init__(self, first: str) -> None:
        super().__init__()
        self._first: str | None = first

    async def add(self, key: ApiKey) -> None:
        first, self._first = self._first, None
        if first is not None:
            await adopt(KeyService(self, now=Clock()), first)
        await super().add(key)


async def test_two_processes_that_adopt_one_key_at_once_store_it_once() -> None:
    keys = KeyService(Overtaken(GIVEN), now=Clock())

    assert await adopt(keys) is None
    assert [key.id for key in await keys.all()] == ["a" * 16]


async def test_a_process_that_is_overtaken_by_another_key_of_this_id_says_so() -> None:
    keys = KeyService(Overtaken(GIVEN[:-1] + "C"), now=Clock())

    with pytest.raises(InvalidAccess, match="has the id of another key"):
        await adopt(keys)
