from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from builders.asgi import connected
from builders.predictions import patient_json
from components.loop_clock import put_ahead
from stroke.domain.errors import ServiceOverloaded
from stroke.entrypoints.api.admission import Budget, Gate, Slot

pytestmark = pytest.mark.anyio


async def settle(turns: int = 5) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_a_gate_lets_in_up_to_its_capacity_and_the_others_in_their_order() -> None:
    gate, order = Gate(10, seconds=60), []

    async def pass_through(name: str, weight: int) -> None:
        await gate.enter(weight)
        order.append(name)

    await gate.enter(6)
    waiting = [asyncio.create_task(pass_through(*each)) for each in (("heavy", 9), ("light", 1))]
    await settle()
    assert order == []  # the light one does not overtake: the heavy one would wait for ever
    gate.leave(6)
    await asyncio.gather(*waiting)
    assert order == ["heavy", "light"]


async def test_whoever_is_heavier_than_the_gate_is_let_in_alone() -> None:
    gate = Gate(10, seconds=0.01)
    await gate.enter(25)
    with pytest.raises(ServiceOverloaded):
        await gate.enter(1)
    gate.leave(25)
    await gate.enter(10)


async def test_whoever_gives_up_leaves_no_gap_and_lets_lighter_ones_pass() -> None:
    gate = Gate(10, seconds=60)
    await gate.enter(6)
    heavy = asyncio.create_task(gate.enter(9))
    light = asyncio.create_task(gate.enter(4))
    await settle()
    heavy.cancel()
    await light
    gate.leave(6)
    await gate.enter(6)  # and everything is there again
    assert heavy.cancelled()


async def test_whoever_gives_up_as_its_turn_comes_gives_the_turn_back() -> None:
    gate = Gate(1, seconds=60)
    await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await settle()
    gate.leave()
    waiting.cancel()
    await settle()
    await asyncio.wait_for(gate.enter(), 1)


async def test_those_who_wait_too_long_go_in_their_order_and_lighter_ones_pass() -> None:
    gate = Gate(10, seconds=0.05)
    await gate.enter(6)
    refused = []

    async def wait(name: str, weight: int) -> None:
        try:
            await gate.enter(weight)
        except ServiceOverloaded:
            refused.append(name)

    heavy = asyncio.create_task(wait("heavy", 9))
    await asyncio.sleep(0.03)
    light = asyncio.create_task(wait("light", 4))
    await heavy
    await asyncio.wait_for(light, 0.02)  # at once, and not at the end of its own time
    assert refused == ["heavy"]
    later = [asyncio.create_task(wait(name, 1)) for name in ("first", "second")]
    await asyncio.gather(*later)
    assert refused == ["heavy", "first", "second"]
    gate.leave(10)
    await gate.enter(10)


async def test_a_slot_that_waited_beforehand_is_entered_once_and_left_once() -> None:
    gate, budget = Gate(1, seconds=60), Budget(100)
    slot = Slot(gate, budget)
    await slot.wait()
    assert gate.crowded
    async with slot:
        slot.hold(100)
    slot.leave()
    assert not gate.crowded
    budget.hold(100)
    await gate.enter()
    assert gate.crowded


async def test_a_slot_that_waited_in_vain_refuses_and_takes_no_place() -> None:
    gate = Gate(1, seconds=0.01)
    await gate.enter()
    slot = Slot(gate, Budget(100))
    await slot.wait()
    with pytest.raises(ServiceOverloaded):
        await slot.__aenter__()
    slot.leave()
    assert gate.crowded
    gate.leave()
    assert not gate.crowded


async def test_a_slot_gives_back_its_bytes_whatever_happens() -> None:
    budget = Budget(100)
    gate = Gate(1, seconds=1)
    with pytest.raises(ServiceOverloaded):  # noqa: PT012 - leaving the slot is what is tried
        async with Slot(gate, budget) as slot:
            slot.hold(60)
            slot.hold(41)
    await gate.enter()
    budget.hold(100)


@pytest.fixture
async def small(parts_with: Callable[..., Any]) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
    parts = parts_with(max_rows_in_flight=3, max_bytes_in_flight=8 * 2000, admission_seconds=0.05)
    async with connected(parts.app) as client:
        yield client, parts


def batch(rows: int) -> dict[str, Any]:
    return {"patients": [patient_json() for _ in range(rows)]}


async def test_a_batch_too_many_is_503_before_its_body_is_read(
    small: tuple[httpx.AsyncClient, Any],
) -> None:
    client, parts = small
    parts.repository.held = asyncio.Event()
    first = asyncio.create_task(client.post("/api/v1/predictions:batch", json=batch(2)))
    await asyncio.sleep(0.02)

    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    refused = await client.post(
        "/api/v1/predictions:batch",
        content=body(),
        headers={"content-type": "application/json", "content-length": "400"},
    )
    assert refused.status_code == 503
    assert refused.json()["type"] == "urn:stroke:problem:overloaded"
    assert refused.headers["retry-after"] == "1"
    assert (await client.get("/health/live")).status_code == 200
    parts.repository.held.set()
    assert (await first).status_code == 200
    assert (await client.post("/api/v1/predictions:batch", json=batch(2))).status_code == 200


async def test_a_batch_that_waits_is_served_when_its_turn_comes(
    parts_with: Callable[..., Any],
) -> None:
    parts = parts_with(max_rows_in_flight=3, admission_seconds=60)
    parts.repository.held = asyncio.Event()
    async with connected(parts.app) as client:
        posts = [
            asyncio.create_task(client.post("/api/v1/predictions:batch", json=batch(2)))
            for _ in range(4)
        ]
        await asyncio.sleep(0.02)
        parts.repository.held.set()
        assert [each.status_code for each in await asyncio.gather(*posts)] == [200] * 4


async def test_bytes_too_many_are_503_for_batches_and_not_for_single_patients(
    small: tuple[httpx.AsyncClient, Any],
) -> None:
    client, _ = small
    padded = {**batch(1), "padding": "x" * 13_000}
    refused = await client.post("/api/v1/predictions:batch", json=padded)
    assert refused.status_code == 503
    assert (await client.post("/predict", json=patient_json())).status_code == 200
    assert (await client.post("/api/v1/predictions:batch", json=batch(1))).status_code == 200


async def test_a_crowd_of_single_patients_waits_instead_of_being_refused(
    parts_with: Callable[..., Any],
) -> None:
    parts = parts_with()
    async with connected(parts.app) as client:
        parts.repository.held = asyncio.Event()
        posts = [
            asyncio.create_task(client.post("/predict", json=patient_json()))
            for _ in range(1500)  # the queue takes 1,024
        ]
        await asyncio.sleep(0.5)
        parts.repository.held.set()
        statuses = [each.status_code for each in await asyncio.gather(*posts)]
    assert statuses == [200] * 1500


@pytest.mark.parametrize("root", ["", "/stroke"])
async def test_single_patients_who_wait_too_long_are_503_of_their_route(
    parts_with: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.setenv("STROKE_QUEUE_CAPACITY", "2")
    parts = parts_with(admission_seconds=0.05, root_path=root)
    parts.repository.held = asyncio.Event()
    async with connected(parts.app) as client:
        paths = [f"{root}/predict", f"{root}/api/v1/predict"] * 4
        posts = [asyncio.create_task(client.post(path, json=patient_json())) for path in paths]
        async with asyncio.timeout(30):
            while sum(post.done() for post in posts) < 6:  # noqa: ASYNC110 - not all of them end
                await asyncio.sleep(0.01)
        # One more who is refused would be by now: all eight began to wait at once.
        done, waiting = await asyncio.wait(posts, timeout=0.1)
        assert len(waiting) == 2
        assert {each.result().status_code for each in done} == {503}
        assert {each.result().headers["retry-after"] for each in done} == {"1"}
        shown = (await client.get("/metrics")).text
        assert 'http_requests_total{handler="/predict",method="POST",status="503"} 3.0' in shown
        parts.repository.held.set()
        assert {(await each).status_code for each in waiting} == {200}
        answer = await client.post(f"{root}/predict", json=patient_json())
        assert answer.status_code == 200


@pytest.mark.parametrize("body", [b"{", b"[]"])
async def test_a_wrong_patient_who_waited_gives_the_place_back(
    parts_with: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setenv("STROKE_QUEUE_CAPACITY", "1")
    parts = parts_with(admission_seconds=60)
    parts.repository.held = asyncio.Event()
    async with connected(parts.app) as client:
        first = asyncio.create_task(client.post("/predict", json=patient_json()))
        await asyncio.sleep(0.02)
        head = {"content-type": "application/json"}
        wrong = [
            asyncio.create_task(client.post("/predict", content=body, headers=head))
            for _ in range(3)
        ]
        given_up = asyncio.create_task(client.post("/predict", json=patient_json()))
        await asyncio.sleep(0.02)
        given_up.cancel()
        parts.repository.held.set()
        assert (await first).status_code == 200
        assert {(await each).status_code for each in wrong} <= {400, 422}
        assert (await client.post("/predict", json=patient_json())).status_code == 200


async def test_the_wait_for_a_turn_counts_in_the_deadline(
    parts_with: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROKE_QUEUE_CAPACITY", "1")
    parts = parts_with(admission_seconds=6000, request_seconds=1000)
    parts.repository.held = asyncio.Event()
    # Turns of the loop, and not some time: they are as many after a pause of the process.
    turns = 200
    async with connected(parts.app) as client:
        first = asyncio.create_task(client.post("/predict", json=patient_json()))
        await settle(turns)
        put_ahead(monkeypatch, 600)
        second = asyncio.create_task(client.post("/predict", json=patient_json()))
        await settle(turns)
        put_ahead(monkeypatch, 400)
        async with asyncio.timeout(30):
            assert (await first).status_code == 503
        # The second one is let in as the first one gives up; then it waits for its commit.
        await settle(turns)
        put_ahead(monkeypatch, 500)
        await settle(turns)
        assert not second.done()  # 900 of its 1000 seconds have passed
        put_ahead(monkeypatch, 100)
        async with asyncio.timeout(30):  # counted from its turn, there would be 400 more
            assert (await second).status_code == 503
        parts.repository.held.set()
        await settle(turns)  # those who gave up leave the queue
        assert (await client.post("/predict", json=patient_json())).status_code == 200
