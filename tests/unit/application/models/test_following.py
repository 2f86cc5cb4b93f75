"""A process serves what the deployment says, and lets go of what it says no more."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from builders.predictions import NOON
from fakes.models import FakeDeploymentStore
from fakes.predictions import FakeRiskModel
from stroke.application.models.following import RETRY_SECONDS, Follower
from stroke.application.predictions.deployed import Deployed, Serving
from stroke.application.predictions.ports import RiskModel
from stroke.domain.deployment import Change, Deployment
from stroke.domain.errors import ModelError, ModelNotFound, StoreUnavailable

pytestmark = pytest.mark.anyio
BY = Change(NOON, "key:1")
BEGUN = Deployment.of_setting("base-1").begun(BY)


class Stage:
    def __init__(self) -> None:
        self.store = FakeDeploymentStore()
        self.serving = Serving(FakeRiskModel(version="base-1"))
        self.there = {"better-1", "other-1"}
        self.loads: list[str] = []
        self.reported: list[str] = []
        self.swaps: list[Deployed] = []
        self.time = 0.0
        self.follower = Follower(
            self.store,
            self.serving,
            self._load,
            swapped=self.swaps.append,
            tell=self.reported.append,
            clock=lambda: self.time,
        )

    def _load(self, version: str) -> RiskModel:
        self.loads.append(version)
        if version not in self.there:
            raise ModelNotFound(f"no model {version!r}")
        return FakeRiskModel(version=version)

    async def wanted(self, *entries: Deployment) -> bool:
        await self.store.append(entries)
        return await self.follower.look()

    @property
    def served(self) -> list[str]:
        now = self.serving.now
        challenger = [] if now.challenger is None else [now.challenger]
        models = [now.champion, *challenger, *now.shadows]
        return [each.description.version for each in models]


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_an_empty_store_changes_nothing(stage: Stage) -> None:
    assert not await stage.follower.look()
    assert (stage.served, stage.serving.now.number, stage.swaps) == (["base-1"], 0, [])


async def test_each_change_is_served_with_one_load_of_what_is_new(stage: Stage) -> None:
    canary = BEGUN.with_canary("better-1", 0.25, BY)
    shadow = canary.with_shadow("other-1", BY, most=2)
    promoted = shadow.promoted("better-1", BY)

    assert await stage.wanted(BEGUN, canary)
    assert (stage.served, stage.serving.now.share) == (["base-1", "better-1"], 0.25)
    better = stage.serving.now.challenger
    assert await stage.wanted(shadow)
    assert await stage.wanted(promoted)

    assert stage.serving.now.champion is better
    assert (stage.served, stage.serving.now.number) == (["better-1", "other-1"], 4)
    assert stage.loads == ["better-1", "other-1"]
    assert stage.swaps[-1] is stage.serving.now
    assert await stage.wanted(promoted.rolled_back(BY))
    assert stage.served == ["base-1", "other-1"]
    assert stage.loads == ["better-1", "other-1"], "the model of the setting was never let go"


async def test_looking_again_is_one_look_and_no_more(stage: Stage) -> None:
    await stage.wanted(BEGUN, BEGUN.promoted("better-1", BY))
    served = stage.serving.now

    assert [await stage.follower.look() for _ in range(5)] == [False] * 5
    assert (stage.serving.now, stage.loads, len(stage.swaps)) == (served, ["better-1"], 1)


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_whoever_looks_while_a_model_is_loaded_waits_for_it(
    stage: Stage, is_cancelled: bool
) -> None:
    loading, gate = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    load = stage._load

    def held(version: str) -> RiskModel:
        loop.call_soon_threadsafe(loading.set)
        assert gate.wait(60)
        return load(version)

    stage.follower._load = held
    await stage.store.append([BEGUN, BEGUN.promoted("better-1", BY)])
    first = asyncio.create_task(stage.follower.look())
    await loading.wait()
    second = asyncio.create_task(stage.follower.look())
    await asyncio.sleep(0)
    assert not second.done()
    if is_cancelled:
        first.cancel()
    gate.set()

    assert await second is is_cancelled, "one of them swaps, and the other one finds it done"
    assert stage.served == ["better-1"]
    assert first.cancelled() if is_cancelled else await first


async def test_a_roll_back_loads_nothing(stage: Stage) -> None:
    better = BEGUN.promoted("better-1", BY)
    other = better.promoted("other-1", BY)
    await stage.wanted(BEGUN, better)
    await stage.wanted(other)
    stage.there.clear()  # nothing can be loaded any more

    assert await stage.wanted(back := other.rolled_back(BY))
    assert stage.served == ["better-1"]
    assert await stage.wanted(back.rolled_back(BY))
    assert stage.follower.trouble == {}


async def test_a_model_goes_with_its_last_user_and_a_champion_after_the_next(
    stage: Stage,
) -> None:
    stage.there |= {"third-1", "fourth-1"}
    promoted = BEGUN.promoted("better-1", BY)
    await stage.wanted(BEGUN, promoted)
    request = stage.serving.now  # what a request that still runs has taken
    stage.swaps.clear()
    model = weakref.ref(request.champion)
    other = promoted.promoted("other-1", BY)
    await stage.wanted(other)
    del request
    stage.swaps.clear()
    gc.collect()
    assert model() is not None, "a roll-back would serve it"
    request = stage.serving.now
    model, former = weakref.ref(request.champion), model
    await stage.wanted(other.promoted("third-1", BY))
    await stage.wanted(other.promoted("third-1", BY).promoted("fourth-1", BY))
    stage.swaps.clear()

    gc.collect()
    assert former() is None
    assert model() is request.champion
    del request
    gc.collect()
    assert model() is None


async def test_a_champion_that_cannot_be_loaded_leaves_all_as_it_was_until_it_can(
    stage: Stage,
) -> None:
    with pytest.raises(ModelError, match="the champion late-1 cannot be loaded"):
        await stage.wanted(BEGUN, BEGUN.promoted("late-1", BY))
    assert (stage.served, stage.swaps) == (["base-1"], [])
    assert stage.follower.trouble == {"late-1": "no model 'late-1'"}

    stage.there.add("late-1")
    assert not await stage.follower.look(), "it is not tried with every look"
    stage.time += RETRY_SECONDS
    assert await stage.follower.look()
    assert (stage.served, stage.follower.trouble) == (["late-1"], {})


async def test_a_challenger_or_shadow_that_cannot_be_loaded_is_left_out(stage: Stage) -> None:
    wanted = BEGUN.with_canary("gone-1", 0.5, BY).with_shadow("away-1", BY, most=1)

    assert await stage.wanted(BEGUN, wanted)
    assert (stage.served, stage.serving.now.share) == (["base-1"], 0.5)
    assert sorted(stage.follower.trouble) == ["away-1", "gone-1"]
    stage.time += RETRY_SECONDS
    assert not await stage.follower.look()
    assert len([line for line in stage.reported if "gone-1" in line]) == 1


async def test_following_outlives_a_store_that_is_away_and_a_model_that_is_gone(
    stage: Stage,
) -> None:
    looks = 0
    over = asyncio.Event()

    async def pause() -> None:
        nonlocal looks
        looks += 1
        match looks:
            case 1 | 2:
                stage.store.failing = StoreUnavailable("away")
            case 3:
                stage.store.failing = None
                await stage.store.append([BEGUN, BEGUN.promoted("gone-1", BY)])
            case 4:
                last = BEGUN.promoted("gone-1", BY).promoted("better-1", BY)
                await stage.store.append([last])
            case 5:
                over.set()
                await asyncio.Event().wait()

    following = asyncio.create_task(stage.follower.follow(pause))
    await over.wait()
    following.cancel()

    assert stage.served == ["better-1"]
    assert len([line for line in stage.reported if "away" in line]) == 1
    assert any("served on" in line for line in stage.reported)


async def test_what_is_loaded_is_what_is_served_the_champion_before_and_the_setting() -> None:
    stage = Stage()
    better = BEGUN.promoted("better-1", BY)
    await stage.wanted(BEGUN, better)
    await stage.wanted(better.promoted("other-1", BY))

    for version in ("base-1", "better-1", "other-1"):
        found = stage.follower.loaded(version)
        assert found is not None
        assert found.version == version
    assert stage.follower.loaded("nobody-1") is None
