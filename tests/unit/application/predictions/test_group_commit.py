from __future__ import annotations

import asyncio

import pytest

from stroke.application.predictions.group_commit import GroupCommit
from stroke.domain.errors import PredictionRejected, ServiceOverloaded, StoreUnavailable

pytestmark = pytest.mark.anyio


class Store:
    """Doubles what it commits; ``gate`` holds commits back, ``bad`` items are refused."""

    def __init__(self) -> None:
        self.committed: list[list[int]] = []
        self.bad: set[int] = set()
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(self, items: list[int]) -> list[int]:
        await self.gate.wait()
        if self.away:
            raise StoreUnavailable("away")
        if self.bad.intersection(items):
            raise PredictionRejected("refused")
        self.committed.append(items)
        return [2 * item for item in items]


@pytest.fixture
async def store() -> Store:
    return Store()


def queue_on(store: Store, *, capacity: int = 100, largest: int = 100) -> GroupCommit[int, int]:
    return GroupCommit(store.commit, capacity=capacity, largest=largest)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_lone_caller_waits_for_nobody(store: Store) -> None:
    assert await queue_on(store).submit(21) == 42
    assert store.committed == [[21]]


async def test_callers_of_one_moment_share_one_commit_and_get_their_own_result(
    store: Store,
) -> None:
    queue = queue_on(store)
    assert await asyncio.gather(*map(queue.submit, range(10))) == list(range(0, 20, 2))
    assert store.committed == [list(range(10))]


async def test_the_next_batch_gathers_while_a_commit_is_in_flight(store: Store) -> None:
    queue = queue_on(store)
    store.gate.clear()
    first = asyncio.create_task(queue.submit(0))
    await turns()
    others = [asyncio.create_task(queue.submit(n)) for n in (1, 2, 3)]
    await turns()
    assert queue.depth == 3
    store.gate.set()
    await asyncio.gather(first, *others)
    assert store.committed == [[0], [1, 2, 3]]


async def test_nobody_is_answered_before_the_commit(store: Store) -> None:
    store.gate.clear()
    caller = asyncio.create_task(queue_on(store).submit(1))
    await turns(20)
    assert not caller.done()
    store.gate.set()
    assert await caller == 2


async def test_a_batch_has_at_most_the_largest_size(store: Store) -> None:
    queue = queue_on(store, largest=4)
    await asyncio.gather(*map(queue.submit, range(10)))
    assert [len(batch) for batch in store.committed] == [4, 4, 2]


async def test_a_bad_item_fails_alone(store: Store) -> None:
    store.bad = {3, 8}
    queue = queue_on(store)
    results = await asyncio.gather(*map(queue.submit, range(10)), return_exceptions=True)
    for n, result in enumerate(results):
        if n in store.bad:
            assert isinstance(result, PredictionRejected)
        else:
            assert result == 2 * n
    assert sorted(n for batch in store.committed for n in batch) == [0, 1, 2, 4, 5, 6, 7, 9]


async def test_a_store_that_is_away_fails_the_whole_batch_at_once(store: Store) -> None:
    store.away = True
    queue = queue_on(store)
    results = await asyncio.gather(*map(queue.submit, range(10)), return_exceptions=True)
    assert all(isinstance(result, StoreUnavailable) for result in results)
    store.away = False
    assert await queue.submit(1) == 2


async def test_a_full_queue_refuses_and_forgets_nobody(store: Store) -> None:
    queue = queue_on(store, capacity=3)
    store.gate.clear()
    first = asyncio.create_task(queue.submit(0))
    await turns()
    waiting = [asyncio.create_task(queue.submit(n)) for n in (1, 2, 3)]
    await turns()
    with pytest.raises(ServiceOverloaded):
        await queue.submit(4)
    store.gate.set()
    assert await asyncio.gather(first, *waiting) == [0, 2, 4, 6]


async def test_a_caller_that_gives_up_before_its_turn_leaves_nothing_behind(store: Store) -> None:
    queue = queue_on(store)
    store.gate.clear()
    first = asyncio.create_task(queue.submit(0))
    await turns()
    impatient, patient = (asyncio.create_task(queue.submit(n)) for n in (1, 2))
    await turns()
    impatient.cancel()
    store.gate.set()
    assert [await first, await patient] == [0, 4]
    assert store.committed == [[0], [2]]


async def test_a_caller_that_gives_up_in_mid_commit_leaves_the_others_alone(store: Store) -> None:
    queue = queue_on(store)
    store.gate.clear()
    impatient, patient = (asyncio.create_task(queue.submit(n)) for n in (1, 2))
    await turns()
    impatient.cancel()
    await turns()
    store.gate.set()
    assert await patient == 4
    assert store.committed == [[1, 2]]
    assert await queue.submit(3) == 6


async def test_closing_answers_everyone_who_waits_and_takes_no_more(store: Store) -> None:
    queue = queue_on(store, largest=2)
    store.gate.clear()
    waiting = [asyncio.create_task(queue.submit(n)) for n in range(5)]
    await turns()
    closing = asyncio.create_task(queue.close())
    await turns()
    with pytest.raises(ServiceOverloaded):
        await queue.submit(9)
    store.gate.set()
    await closing
    assert all(caller.done() for caller in waiting)
    assert await asyncio.gather(*waiting) == [0, 2, 4, 6, 8]


async def test_an_unexpected_error_reaches_the_callers_and_the_queue_goes_on(store: Store) -> None:
    async def commit(items: list[int]) -> list[int]:
        if 0 in items:
            raise ZeroDivisionError
        return await store.commit(items)

    queue: GroupCommit[int, int] = GroupCommit(commit, capacity=10, largest=10)
    results = await asyncio.gather(queue.submit(0), queue.submit(1), return_exceptions=True)
    assert isinstance(results[0], ZeroDivisionError)
    assert results[1] == 2


async def test_a_killed_drain_leaves_no_caller_hanging(store: Store) -> None:
    queue = queue_on(store)
    store.gate.clear()
    caller = asyncio.create_task(queue.submit(1))
    await turns()
    assert queue._drain is not None
    queue._drain.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
