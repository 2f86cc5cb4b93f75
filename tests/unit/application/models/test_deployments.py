"""Changes of the served models: who may become what, and what the audit trail says of it."""

from __future__ import annotations

import pytest

from builders.predictions import NOON
from fakes.models import FakeDeploymentStore
from fakes.predictions import FakeRiskModel
from stroke.application.models.deployments import Asker, DeploymentService, Wish
from stroke.domain.audit import AuditOutcome
from stroke.domain.deployment import DeploymentAction
from stroke.domain.errors import (
    DeploymentChanged,
    DeploymentRefused,
    InvalidModel,
    ModelNotFound,
    StoreUnavailable,
    StrokeError,
)
from stroke.domain.risk import ModelDescription

pytestmark = pytest.mark.anyio
ASKER = Asker("key:1", "north", "request-1")
PROMOTE, ROLLBACK = DeploymentAction.PROMOTE, DeploymentAction.ROLLBACK
CANARY, SHADOW = DeploymentAction.CANARY, DeploymentAction.SHADOW


class Stage:
    """A service with models by name: ``base`` is that of the setting."""

    def __init__(self) -> None:
        self.store = FakeDeploymentStore()
        self.trail: list[tuple[str, str]] = []
        self.models = {
            "base": FakeRiskModel(("bmi",), version="base-1").description,
            "better": FakeRiskModel(("bmi",), version="better-1").description,
            "strict": FakeRiskModel(version="strict-1").description,
        }
        self.broken: set[str] = set()
        self.loaded: list[str] = []
        self.in_memory: dict[str, ModelDescription] = {}
        self.is_away = False
        self.service = DeploymentService(
            self.store,
            saved=lambda: self.models["base"],
            candidate=self._candidate,
            described=self._find,
            record=self._record,
            now=lambda: NOON,
            most_shadows=2,
            loaded=self.in_memory.get,
        )

    def _find(self, name: str) -> ModelDescription:
        for key, found in self.models.items():
            if name in (key, found.version):
                return found
        raise ModelNotFound(f"no model {name!r}")

    def _candidate(self, name: str) -> ModelDescription:
        found = self._find(name)
        self.loaded.append(name)
        if found.version in self.broken:
            raise InvalidModel("its contributions miss the logit")
        return found

    async def _record(self, asker: Asker, target: str, outcome: AuditOutcome) -> None:
        assert asker == ASKER
        if self.is_away:
            raise StoreUnavailable("away")
        self.trail.append((target, str(outcome)))

    async def change(self, action: DeploymentAction, model: str | None = None, **how: object):  # type: ignore[no-untyped-def]
        return await self.service.change(Wish(action, model, **how), ASKER)  # type: ignore[arg-type]


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_the_first_change_also_writes_down_what_was_served_before(stage: Stage) -> None:
    assert (await stage.service.present()).champion.version == "base-1"

    made = await stage.change(PROMOTE, "better", reason=" it is better ")

    assert [each.action for each in await stage.service.history(limit=9)] == ["promote", "begin"]
    assert await stage.service.present() == made
    assert (made.number, made.by, made.reason) == (2, "key:1", "it is better")
    assert stage.trail == [("promote better", "asked"), ("promote better-1", "done")]
    assert (await stage.change(ROLLBACK)).champion.version == "base-1"


async def test_a_dry_run_checks_everything_and_leaves_no_trace(stage: Stage) -> None:
    planned = await stage.service.change(Wish(PROMOTE, "better"), ASKER, dry_run=True)
    with pytest.raises(ModelNotFound):
        await stage.service.change(Wish(PROMOTE, "nobody"), ASKER, dry_run=True)

    assert planned.champion.version == "better-1"
    assert (stage.loaded, stage.store.kept, stage.trail) == (["better"], {}, [])


@pytest.mark.parametrize("action", [PROMOTE, CANARY, SHADOW])
async def test_a_model_that_is_not_there_or_not_sound_is_refused_and_written_down(
    stage: Stage, action: DeploymentAction
) -> None:
    stage.broken.add("better-1")
    errors: dict[str, type[StrokeError]] = {"nobody": ModelNotFound, "better": InvalidModel}
    for name, error in errors.items():
        with pytest.raises(error):
            await stage.change(action, name, share=0.1)

    assert stage.store.kept == {}
    assert [outcome for _, outcome in stage.trail] == ["asked", "failed"] * 2


@pytest.mark.parametrize("action", [PROMOTE, CANARY])
async def test_a_model_that_needs_more_than_callers_send_is_refused_unless_that_is_wanted(
    stage: Stage, action: DeploymentAction
) -> None:
    with pytest.raises(DeploymentRefused, match="strict-1 needs bmi, which callers of base-1"):
        await stage.change(action, "strict", share=0.1)

    made = await stage.change(action, "strict", share=0.1, asks_for_more=True)
    assert "strict-1" in made.versions


async def test_a_shadow_may_need_more_for_it_answers_nobody(stage: Stage) -> None:
    assert (await stage.change(SHADOW, "strict")).versions == ("base-1", "strict-1")


async def test_a_rollback_checks_that_the_model_can_still_be_served(stage: Stage) -> None:
    await stage.change(PROMOTE, "better")
    await stage.change(PROMOTE, "base")
    stage.broken.add("better-1")

    with pytest.raises(InvalidModel):
        await stage.change(ROLLBACK)


async def test_who_looked_at_an_older_deployment_changes_nothing(stage: Stage) -> None:
    await stage.change(SHADOW, "strict", after=0)

    with pytest.raises(DeploymentChanged, match="number 2, and not 0"):
        await stage.change(PROMOTE, "better", after=0)
    assert (await stage.change(PROMOTE, "better", after=2)).number == 3


async def test_the_only_shadow_needs_no_name_to_be_stopped_and_one_of_two_does(
    stage: Stage,
) -> None:
    stop = DeploymentAction.SHADOW_STOP
    with pytest.raises(DeploymentRefused, match="there is no shadow"):
        await stage.change(stop)
    await stage.change(SHADOW, "strict")
    await stage.change(SHADOW, "better")

    with pytest.raises(DeploymentRefused, match="say which shadow: there are strict-1, better-1"):
        await stage.change(stop)
    with pytest.raises(DeploymentRefused, match="nobody is no shadow"):
        await stage.change(stop, "nobody")
    await stage.change(stop, "better")
    assert (await stage.change(stop)).shadows == ()


async def test_a_wish_that_lacks_something_says_what(stage: Stage) -> None:
    with pytest.raises(DeploymentRefused, match="promote needs a model"):
        await stage.change(PROMOTE)
    with pytest.raises(DeploymentRefused, match="a canary needs a share"):
        await stage.change(CANARY, "better")


async def test_nothing_is_changed_where_the_trail_cannot_say_so(stage: Stage) -> None:
    stage.is_away = True

    with pytest.raises(StoreUnavailable):
        await stage.change(PROMOTE, "better")
    assert stage.store.kept == {}


async def test_a_roll_back_to_what_is_still_loaded_needs_no_store_of_models(stage: Stage) -> None:
    await stage.change(PROMOTE, "better")
    await stage.change(PROMOTE, "strict", asks_for_more=True)
    stage.in_memory["better-1"] = stage.models.pop("better")
    stage.loaded.clear()

    assert (await stage.change(ROLLBACK, reason="odd risks")).champion.version == "better-1"
    assert stage.loaded == []


async def test_a_roll_back_to_what_nobody_has_loaded_is_verified_first(stage: Stage) -> None:
    await stage.change(PROMOTE, "better")
    await stage.change(PROMOTE, "strict", asks_for_more=True)
    stage.broken.add("better-1")

    with pytest.raises(InvalidModel):
        await stage.change(ROLLBACK)
    del stage.models["better"]
    with pytest.raises(ModelNotFound):
        await stage.change(ROLLBACK)
    assert (await stage.service.present()).champion.version == "strict-1"


async def test_a_model_is_chosen_from_the_store_whatever_is_loaded(stage: Stage) -> None:
    stage.in_memory["better-1"] = stage.models.pop("better")

    for action in (PROMOTE, CANARY, SHADOW):
        with pytest.raises(ModelNotFound):
            await stage.change(action, "better-1", share=0.1)
