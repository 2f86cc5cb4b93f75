"""The page of the model for those who may change what is served: promote, roll back, and why."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copytree, rmtree

import httpx
import pytest

from builders.asgi import connected
from builders.pages import Browser, make_key
from builders.predictions import NOON, prediction
from builders.service import Parts, service_parts
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.container.models import listed_models, load_model
from stroke.domain.deployment import Change, Deployment
from stroke.domain.errors import ModelStoreUnavailable, StoreUnavailable
from stroke.domain.prediction import Origin
from stroke.domain.risk import RiskCategory
from stroke.domain.shadow import ShadowScore

pytestmark = pytest.mark.anyio

PATH = "/ui/model/deployment"
Stage = tuple[Parts, Browser, str]


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A browser of whom models are the task, and the version that the store has as ``mine``."""
    copytree(SHIPPED / DEFAULT, tmp_path / "mine")
    monkeypatch.setenv("STROKE_MODEL_STORE", str(tmp_path))
    parts = service_parts(("bmi", "avg_glucose_level"))
    version = load_model(parts.container.settings().model).description.version
    made = await make_key(parts, "models")
    async with connected(parts.app) as client:
        browser = Browser(client)
        await browser.sign_in(made.text)
        yield parts, browser, version


def text_of(page: httpx.Response) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


async def test_a_model_is_promoted_with_a_reason_and_rolled_back(stage: Stage) -> None:
    parts, browser, version = stage
    first = text_of(await browser.open("/ui/model"))
    assert re.search("fake-1 answers . from the start", first)

    fields = {"model": version, "reason": "better <b>", "after": "0"}
    done = await browser.send(PATH, action="promote", **fields)

    assert (done.status_code, done.headers["location"]) == (303, "/ui/model?done=promote")
    page = await browser.open("/ui/model?done=promote")
    assert "The model is promoted." in page.text
    assert f"{version} answers" in text_of(page)
    assert "better &lt;b&gt;" in page.text
    assert "Rolling back leads to fake-1." in page.text
    assert [str(each.event.action) for each in parts.audit.kept].count("model.change") == 2

    back = await browser.send(PATH, action="rollback", reason="worse", after="2")
    assert back.status_code == 303
    assert "fake-1 answers" in text_of(await browser.open("/ui/model"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"action": "promote", "model": "mine", "reason": " "}, "Say why"),
        ({"action": "sing", "reason": "x"}, "Choose one of these."),
        ({"action": "promote", "model": "none", "reason": "x", "after": "0"}, "cannot be served"),
        ({"action": "promote", "reason": "x", "after": "0"}, "needs a model"),
        ({"action": "rollback", "reason": "x", "after": "0"}, "no champion before"),
        ({"action": "rollback", "reason": "x", "after": "7"}, "Somebody else has changed"),
        ({"action": "rollback", "reason": "x", "after": "9" * 15}, "Somebody else has changed"),
    ],
)
async def test_a_change_that_cannot_be_made_says_why_and_keeps_what_was_typed(
    stage: Stage, fields: dict[str, str], said: str
) -> None:
    _, browser, _ = stage

    answer = await browser.send(PATH, **fields)

    assert answer.status_code == 409
    assert said in answer.text
    assert f'value="{fields["reason"].strip()}"' in answer.text or not fields["reason"].strip()
    assert "fake-1 answers" in text_of(await browser.open("/ui/model"))


@pytest.mark.parametrize(
    "after", [None, "", " 0", "-1", "0.0", "\u0660", "0" * 16, "9" * 5000, "none"]
)
async def test_a_change_without_the_number_that_it_follows_is_refused(
    stage: Stage, after: str | None
) -> None:
    parts, browser, version = stage
    fields = {"model": version, "reason": "better"} | ({} if after is None else {"after": after})

    answer = await browser.send(PATH, action="promote", **fields)

    assert answer.status_code == 409
    assert "Something that was sent cannot be read." in answer.text
    assert await parts.deployments.latest() is None


async def test_nobody_else_sees_what_is_served_or_changes_it() -> None:
    parts = service_parts()
    made = await make_key(parts, "predict", "read")
    async with connected(parts.app) as client:
        browser = Browser(client)
        await browser.sign_in(made.text)

        assert PATH not in (await browser.open("/ui/model")).text
        assert (await browser.send(PATH, action="rollback", reason="x")).status_code == 403


async def test_who_has_one_site_sees_what_is_served_where_only_who_has_all_may_change_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STROKE_MODEL_CHANGE_ALL_SITES", "true")
    parts = service_parts()
    made = await make_key(parts, "models")
    async with connected(parts.app) as client:
        browser = Browser(client)
        await browser.sign_in(made.text)

        page = await browser.open("/ui/model")
        assert "fake-1 answers" in text_of(page)
        assert (PATH in page.text, "the right to all sites" in page.text) == (False, True)
        assert (await browser.send(PATH, action="rollback", reason="x")).status_code == 403


async def test_how_far_a_shadow_agrees_is_shown_by_group_and_to_no_others(stage: Stage) -> None:
    parts, browser, _ = stage
    ages = [20.0] * 25 + [85.0] * 24
    mine = Origin(site="north")
    made = [
        prediction(0.1, age=age, gender="Male" if n % 2 else "Female", origin=mine)
        for n, age in enumerate(ages)
    ]
    made.append(prediction(0.1, origin=Origin(site="south")))
    ids = await parts.repository.add(made)
    said = [ShadowScore(n, "candidate-<7>", NOON, 0.25, RiskCategory.HIGH) for n in ids]
    await parts.scores.add([*said[1:], said[0]._replace(probability=None, category=None)])
    await parts.scores.add([each._replace(model_version="former-1") for each in said])
    by = Change(NOON, "user:ops")
    begun = Deployment.of_setting("fake-1").begun(by)
    await parts.deployments.append([begun, begun.with_shadow("candidate-<7>", by, most=2)])

    page = await browser.open("/ui/model")
    text = text_of(page)

    assert "How far candidate-&lt;7&gt; agrees" in page.text
    assert "newest estimates: 49, of them not comparable: 1" in text
    row = r"48 \+15\.00 \+15\.00 to \+15\.00 100\.0 92\.6 to 100\.0 0\.0 0\.0 to 7\.4"
    assert re.search(f"Everybody {row}", text), text
    assert re.search(r" female 24 \+15\.00", text)
    assert re.search(r" male 24 \+15\.00", text)
    assert re.search(r"below 50 24 \+15\.00", text)
    assert re.search(r"from 80 24 \+15\.00", text)

    assert "How far former-1" not in text

    parts.scores.failing = StoreUnavailable("it took too long")
    page = await browser.open("/ui/model")
    assert (page.status_code, "How far" in page.text) == (200, False)
    assert "What is served" in page.text
    parts.scores.failing = None

    reader = await make_key(parts, "read")
    await browser.sign_in(reader.text)
    assert "How far" not in (await browser.open("/ui/model")).text


async def test_the_page_says_of_a_model_what_its_manifest_says(stage: Stage) -> None:
    parts, browser, version = stage

    imported = text_of(await browser.open("/ui/model"))
    assert "Training data: not known here" in imported
    assert "Not known how the model was made" in imported
    for fact in ("One data set", "not when", "few strokes", "resampling"):
        assert fact not in imported

    await browser.send(PATH, action="promote", model=version, reason="x", after="0")
    assert await parts.container.follower().look()

    trained = text_of(await browser.open("/ui/model"))
    assert "Training data: not known" not in trained
    for fact in ("One data set", "not when", "few strokes", "Not done resampling"):
        assert fact in trained


@pytest.mark.parametrize(("share", "said"), [(0.004, "0.4"), (0.125, "12.5"), (0.07, "7")])
async def test_the_share_of_a_canary_is_not_rounded(stage: Stage, share: float, said: str) -> None:
    parts, browser, version = stage
    by = Change(NOON, "user:ops")
    begun = Deployment.of_setting("fake-1").begun(by)
    await parts.deployments.append([begun, begun.with_canary(version, share, by)])

    page = text_of(await browser.open("/ui/model"))

    assert f"{version} answers some {said} " in page


async def test_the_former_model_comes_back_while_the_store_is_gone(
    stage: Stage, tmp_path: Path
) -> None:
    parts, browser, shipped = stage
    manifest = tmp_path / "mine" / "manifest.json"
    named = json.loads(manifest.read_text(encoding="utf-8")) | {"version": "mine-2"}
    manifest.write_text(json.dumps(named), encoding="utf-8")
    for after, model in (("0", "mine"), ("2", shipped)):
        await browser.send(PATH, action="promote", model=model, reason="x", after=after)
        assert await parts.container.follower().look()
    rmtree(tmp_path / "mine")

    done = await browser.send(PATH, action="rollback", reason="odd risks", after="3")

    assert done.status_code == 303, text_of(done)
    assert await parts.container.follower().look()
    assert parts.container.serving().now.champion.description.version == "mine-2"


async def test_a_store_that_is_away_hides_only_what_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "STORE": "s3://models",
        "S3_ENDPOINT": "http://127.0.0.1:9",  # nobody listens there
        "S3_ACCESS_KEY_ID": "any",
        "S3_SECRET_ACCESS_KEY": "any",
    }.items():
        monkeypatch.setenv(f"STROKE_MODEL_{name}", value)
    parts = service_parts()
    made = await make_key(parts, "models")
    by = Change(NOON, "user:ops")
    begun = Deployment.of_setting("before-1").begun(by)
    await parts.deployments.append([begun, begun.promoted("fake-1", by)])
    with pytest.raises(ModelStoreUnavailable):
        listed_models(parts.container.settings().model)
    async with connected(parts.app) as client:
        browser = Browser(client)
        await browser.sign_in(made.text)

        page = await browser.open("/ui/model")

    assert page.status_code == 200
    assert "Rolling back leads to before-1." in page.text
