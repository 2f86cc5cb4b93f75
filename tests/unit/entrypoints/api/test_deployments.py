"""The routes over the served models, on fakes and the shipped model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dependency_injector import providers

from builders.asgi import connected
from builders.predictions import patient_json, prediction
from builders.service import Parts, service_parts
from fakes.models import FakeWebhook
from fakes.predictions import FakeRiskModel
from stroke.adapters.onnx.manifest import MANIFEST, SIGNATURE
from stroke.adapters.onnx.signing import sign
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.application.access.keys import KeyService
from stroke.application.predictions.deployed import Deployed, ModelRun
from stroke.container.clock import utc_now
from stroke.container.models import load_model
from stroke.domain.errors import StoreUnavailable
from stroke.entrypoints.logs import JsonFormatter

pytestmark = pytest.mark.anyio
PATH = "/api/v1/models/deployment"
SECRET = "Canary Q. Patient"


@pytest.fixture
async def stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Parts, httpx.AsyncClient]]:
    """A service whose setting names a fake, whose store has the shipped model as ``mine``."""
    copytree(SHIPPED / DEFAULT, tmp_path / "mine")
    monkeypatch.setenv("STROKE_MODEL_STORE", str(tmp_path))
    monkeypatch.setenv("STROKE_MODEL_POLL_SECONDS", "0.02")
    # Other tests may keep the machine busy: shadows must drop nobody for that.
    monkeypatch.setenv("STROKE_SHADOW_BUSY", "1")
    parts = service_parts(("bmi", "avg_glucose_level"))
    made = await KeyService(parts.keys, now=utc_now).create(
        name="ops", site="north", scopes=["models", "predict"]
    )
    async with connected(parts.app) as client:
        client.headers["X-API-Key"] = made.text
        yield parts, client


async def served(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(PATH)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_the_model_of_the_setting_is_shown_while_nothing_was_changed(
    stage: tuple[Parts, httpx.AsyncClient],
) -> None:
    _, client = stage
    found = await served(client)

    assert (found["number"], found["action"]) == (0, "begin")
    assert found["champion"]["version"] == "fake-1"
    assert found["served_here"] == {
        "number": 0,
        "champion": "fake-1",
        "challenger": None,
        "share": 0,
        "shadows": [],
        "trouble": {},
    }
    assert (await client.get("/api/v1/models/deployments")).json() == {
        "items": [],
        "next_before": None,
    }


async def test_a_promotion_is_answered_written_down_followed_and_rolled_back(
    stage: tuple[Parts, httpx.AsyncClient],
) -> None:
    parts, client = stage
    version = load_model(parts.container.settings().model).description.version
    wish = {"action": "promote", "model": "mine", "reason": "better calibrated", "after": 0}

    answer = await client.post(PATH, json=wish)
    assert answer.status_code == 200, answer.text
    await parts.container.follower().look()

    found = await served(client)
    assert found["champion"] | {"since": None} == {
        "version": version,
        "since": None,
        "by": found["by"],
        "reason": "better calibrated",
        "share": None,
    }
    assert found["by"].startswith("key:")
    assert found["served_here"]["champion"] == version
    assert (await client.get("/model_info")).json()["version"] == version
    said = (await client.post("/api/v1/predict", json=patient_json())).json()
    assert said["model_version"] == version
    listed = {each["name"]: each["role"] for each in await models(client)}
    assert listed["mine"] == "champion"
    events = [each.event for each in parts.audit.kept]
    assert [(e.action, e.target, e.outcome) for e in events] == [
        ("model.change", "promote mine", "asked"),
        ("model.change", f"promote {version}", "done"),
    ]
    assert {e.site for e in events} == {"north"}

    assert (await client.post(PATH, json={"action": "rollback"})).status_code == 200
    await parts.container.follower().look()
    said = (await client.post("/api/v1/predict", json=patient_json())).json()
    assert said["model_version"] == "fake-1"
    history = (await client.get("/api/v1/models/deployments", params={"limit": 2})).json()
    assert [each["action"] for each in history["items"]] == ["rollback", "promote"]
    assert history["next_before"] == 2


async def models(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/models")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_a_canary_and_shadows_are_shown_and_stopped(
    stage: tuple[Parts, httpx.AsyncClient],
) -> None:
    _, client = stage
    canary = {"action": "canary", "model": "mine", "share": 0.25}

    made = (await client.post(PATH, json=canary)).json()
    assert made["challenger"]["share"] == 0.25
    assert (await client.post(PATH, json={"action": "canary-stop"})).json()["challenger"] is None
    made = (await client.post(PATH, json={"action": "shadow", "model": "mine"})).json()
    assert len(made["shadows"]) == 1
    assert (await client.post(PATH, json={"action": "shadow-stop"})).json()["shadows"] == []


@pytest.mark.parametrize(
    ("wish", "status", "kind"),
    [
        ({"action": "promote", "model": "nobody"}, 404, "model-not-found"),
        ({"action": "promote", "model": "../mine"}, 404, "model-not-found"),
        ({"action": "promote"}, 409, "deployment-refused"),
        ({"action": "rollback"}, 409, "deployment-refused"),
        ({"action": "promote", "model": "mine", "after": 5}, 409, "deployment-changed"),
        ({"action": "promote", "model": "mine", "after": 5.0}, 409, "deployment-changed"),
        ({"action": "promote", "model": "mine", "after": 0.5}, 422, "invalid-request"),
        ({"action": "promote", "model": "mine", "after": 2.0**53}, 422, "invalid-request"),
        ({"action": "canary", "model": "mine", "share": 1}, 422, "invalid-request"),
        ({"action": "canary-breach"}, 422, "invalid-request"),
        ({"action": "promote", "model": "mine", "reason": "a\nb"}, 422, "invalid-request"),
        ({"action": "promote", "model": "mine", "force": True}, 422, "invalid-request"),
    ],
)
async def test_what_cannot_be_done_is_a_problem_document(
    stage: tuple[Parts, httpx.AsyncClient], wish: dict[str, Any], status: int, kind: str
) -> None:
    _, client = stage
    answer = await client.post(PATH, json=wish)

    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:stroke:problem:{kind}")
    assert (await served(client))["number"] == 0


async def test_a_broken_model_is_refused_without_a_path_of_the_server(
    stage: tuple[Parts, httpx.AsyncClient], tmp_path: Path
) -> None:
    _, client = stage
    graph = tmp_path / "mine" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])

    answer = await client.post(PATH, json={"action": "promote", "model": "mine"})

    assert answer.status_code == 409
    assert str(tmp_path) not in answer.text


async def test_a_dry_run_shows_what_would_be_served(
    stage: tuple[Parts, httpx.AsyncClient],
) -> None:
    parts, client = stage
    wish = {"action": "promote", "model": "mine", "dry_run": True}

    assert (await client.post(PATH, json=wish)).json()["number"] == 2
    assert (parts.deployments.kept, parts.audit.kept) == ({}, [])


async def test_others_than_callers_with_the_scope_see_and_change_nothing(
    stage: tuple[Parts, httpx.AsyncClient],
) -> None:
    parts, client = stage
    keys = KeyService(parts.keys, now=utc_now)
    made = await keys.create(name="ward", site="north", scopes=["predict", "read", "audit"])
    client.headers["X-API-Key"] = made.text

    agreement = "/api/v1/models/agreement"
    for path in ("/api/v1/models", PATH, "/api/v1/models/deployments", agreement):
        assert (await client.get(path)).status_code == 403
    assert (await client.post(PATH, json={"action": "rollback"})).status_code == 403


async def test_a_canary_that_fails_is_taken_back_by_itself_and_that_is_written_down(
    stage: tuple[Parts, httpx.AsyncClient],
) -> None:
    parts, client = stage
    webhook = FakeWebhook()
    parts.container.webhook.override(providers.Object(webhook))
    canary = {"action": "canary", "model": "mine", "share": 0.5}
    version = (await client.post(PATH, json=canary)).json()["challenger"]["version"]
    await parts.container.follower().look()
    for _ in range(parts.container.settings().canary.errors + 1):
        parts.container.canary_guard().ran(ModelRun(version, 0.001, failed=True))

    for _ in range(3000):
        if webhook.documents:  # the last of what is done
            break
        await asyncio.sleep(0.02)

    found = await served(client)
    assert found["challenger"] is None
    assert (found["action"], found["by"]) == ("canary-breach", "service:canary-guard")
    assert found["reason"] == "guard errors: 6 of 6 runs failed"
    last = parts.audit.kept[-1].event
    assert (last.actor, last.target, last.outcome) == (
        "service:canary-guard",
        f"canary-breach {version}",
        "done",
    )
    breaches = parts.container.metrics_registry().get_sample_value(
        "stroke_canary_breaches_total", {"model_version": version, "guard": "errors"}
    )
    assert breaches == 1
    [told] = webhook.documents
    assert isinstance(told, dict)
    assert (told["model_version"], told["guard"]) == (version, "errors")
    assert told["deployment"] == found["number"]


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("canary", "the model broken-1 failed: KeyError"),
        ("shadow", "the shadow broken-1 failed: KeyError"),
    ],
)
async def test_why_a_model_fails_that_no_caller_misses_is_logged_once_and_without_a_value(
    stage: tuple[Parts, httpx.AsyncClient],
    caplog: pytest.LogCaptureFixture,
    role: str,
    said: str,
) -> None:
    parts, client = stage
    broken = FakeRiskModel(
        ("bmi", "avg_glucose_level"), version="broken-1", failing=KeyError(SECRET)
    )
    serving = parts.container.serving()
    champion = serving.now.champion
    serving.swap(
        Deployed(champion, challenger=broken, share=0.9999)
        if role == "canary"
        else Deployed(champion, shadows=(broken,))
    )
    for _ in range(3):
        answer = await client.post("/api/v1/predict", json=patient_json(name=SECRET))
        assert answer.json()["model_version"] == "fake-1", answer.text
    await asyncio.to_thread(parts.container.shadows().close, 60)

    lines = [each for each in caplog.records if "failed" in each.getMessage()]
    assert [each.getMessage() for each in lines] == [said]
    assert sum(broken.runs) == 3
    assert SECRET not in JsonFormatter().format(lines[0])


async def test_why_scores_of_shadows_are_not_stored_is_logged_once(
    stage: tuple[Parts, httpx.AsyncClient], caplog: pytest.LogCaptureFixture
) -> None:
    parts, client = stage
    assert (await client.post(PATH, json={"action": "shadow", "model": "mine"})).status_code == 200
    await parts.container.follower().look()
    parts.scores.failing = StoreUnavailable("INSERT is denied (MySQL error 1142)")
    for _ in range(2):
        assert (await client.post("/api/v1/predict", json=patient_json())).status_code == 200
        await asyncio.to_thread(parts.container.shadows().close, 60)

    lines = [each.getMessage() for each in caplog.records if each.name == "stroke.models"]
    told = "scores of shadows cannot be stored: INSERT is denied (MySQL error 1142)"
    assert [each for each in lines if "scores" in each] == [told]


async def test_what_is_done_beside_the_requests_is_begun_again_after_it_failed(
    stage: tuple[Parts, httpx.AsyncClient],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts, client = stage
    failed = asyncio.Event()

    def fail() -> None:
        failed.set()
        raise KeyError(SECRET)

    with monkeypatch.context() as changed:
        changed.setattr(parts.container.canary_guard(), "breach", fail)
        await failed.wait()
    wish = {"action": "promote", "model": "mine"}
    assert (await client.post(PATH, json=wish)).status_code == 200
    for _ in range(3000):
        if (await served(client))["served_here"]["champion"] != "fake-1":
            break
        await asyncio.sleep(0.02)
    else:
        pytest.fail("the deployment is followed no more")

    [record] = [each for each in caplog.records if "begins again" in each.getMessage()]
    assert record.getMessage() == "following the deployment failed, and begins again: KeyError"
    assert SECRET not in JsonFormatter().format(record)


async def test_a_shadow_is_compared_and_the_answers_stay_those_of_the_champion(
    stage: tuple[Parts, httpx.AsyncClient],
) -> None:
    parts, client = stage
    made = (await client.post(PATH, json={"action": "shadow", "model": "mine"})).json()
    version = made["shadows"][0]["version"]
    await parts.container.follower().look()

    for _ in range(3):
        said = (await client.post("/api/v1/predict", json=patient_json())).json()
        assert said["model_version"] == "fake-1"
    await asyncio.to_thread(parts.container.shadows().close, 60)

    registry = parts.container.metrics_registry()
    samples = [s for family in registry.collect() for s in family.samples]
    compared = [s for s in samples if s.name == "stroke_shadow_compared_total"]
    assert sum(s.value for s in compared) == 3
    assert {s.labels["model_version"] for s in compared} == {version}


async def test_what_a_shadow_says_is_stored_and_its_agreement_is_told_by_site(
    stage: tuple[Parts, httpx.AsyncClient],
) -> None:
    parts, client = stage
    made = (await client.post(PATH, json={"action": "shadow", "model": "mine"})).json()
    version = made["shadows"][0]["version"]
    agreement = "/api/v1/models/agreement"
    assert (await client.get(agreement)).json() == {"items": []}
    [before] = (await client.get(agreement, params={"model": "mine"})).json()["items"]
    assert (before["model_version"], before["predictions"]) == (version, 0)
    unknown = await client.get(agreement, params={"model": "nope"})
    assert unknown.status_code == 404
    assert unknown.json()["type"] == "urn:stroke:problem:model-not-found"
    await parts.container.follower().look()
    body = [patient_json(age=20.0 + n % 60, gender="Male") for n in range(30)]
    stored = await client.post("/api/v1/predictions:batch", json={"patients": body})
    assert stored.status_code == 200, stored.text
    await asyncio.to_thread(parts.container.shadows().close, 60)

    assert {number for _, number in parts.scores.kept} == {*parts.repository.rows}
    answer = await client.get("/api/v1/models/agreement", params={"site": "south"})
    assert answer.status_code == 200, answer.text
    [found] = answer.json()["items"]
    assert (found["model_version"], found["predictions"]) == (version, 30)
    assert (found["is_part"], found["answered_by"]) == (False, {"fake-1": 30})
    everybody, male, *_ = found["groups"]
    assert (male["group"], male["level"], male["table"]) == ("gender", "Male", everybody["table"])
    gaps = [
        (parts.scores.kept[version, number].probability or 0) - (row.probability or 0)
        for number, row in parts.repository.rows.items()
    ]
    assert everybody["mean"]["value"] == pytest.approx(sum(gaps) / 30)

    # A caller of another site counts none of these.
    keys = KeyService(parts.keys, now=utc_now)
    other = await keys.create(name="south", site="south", scopes=["models"])
    client.headers["X-API-Key"] = other.text
    query = {"site": "north", "model": version}
    [nothing] = (await client.get("/api/v1/models/agreement", params=query)).json()["items"]
    assert (nothing["predictions"], nothing["groups"][0]["mean"]) == (0, None)


def _signed_and_altered(folder: Path, key: Ed25519PrivateKey) -> None:
    sign(folder, key)
    with (folder / MANIFEST).open("a") as file:
        file.write("\n")


def _keys_lost(folder: Path, key: Ed25519PrivateKey) -> None:
    sign(folder, key)
    (folder.parent / "keys.pem").write_text("-----BEGIN PUBLIC KEY-----\nno key")


@pytest.mark.parametrize(
    ("spoil", "is_served"),
    [
        (sign, True),
        (lambda *_: None, False),
        (lambda folder, _: sign(folder, Ed25519PrivateKey.generate()), False),
        (_signed_and_altered, False),
        (lambda folder, _: (folder / SIGNATURE).write_bytes(b"[" * 60_000), False),
        (_keys_lost, False),
    ],
)
async def test_a_model_without_a_signature_that_counts_is_not_promoted(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    spoil: Callable[[Path, Ed25519PrivateKey], object],
    is_served: bool,
) -> None:
    folder, key = tmp_path / "mine", Ed25519PrivateKey.generate()
    copytree(SHIPPED / DEFAULT, folder)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "keys.pem").write_bytes(public)
    monkeypatch.setenv("STROKE_MODEL_STORE", str(tmp_path))
    monkeypatch.setenv("STROKE_MODEL_PUBLIC_KEYS", str(tmp_path / "keys.pem"))
    async with connected(service_parts(("bmi", "avg_glucose_level")).app) as client:
        spoil(folder, key)
        answer = await client.post(PATH, json={"action": "promote", "model": "mine"})
        if is_served:
            assert answer.status_code == 200, answer.text
            return
        assert (answer.status_code, answer.json()["type"]) == (
            409,
            "urn:stroke:problem:deployment-refused",
        )
        assert str(tmp_path) not in answer.text
        assert (await served(client))["number"] == 0


@pytest.mark.parametrize("scope", ["models", "admin"])
async def test_where_all_sites_are_demanded_a_key_of_one_changes_nothing_and_is_written_down(
    monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    monkeypatch.setenv("STROKE_MODEL_CHANGE_ALL_SITES", "true")
    parts = service_parts()
    keys = KeyService(parts.keys, now=utc_now)
    of_one = await keys.create(name="one", site="north", scopes=[scope])
    of_all = await keys.create(name="all", site="north", scopes=[scope, "all-sites"])
    wish = {"action": "rollback", "reason": SECRET}
    async with connected(parts.app) as client:
        client.headers["X-API-Key"] = of_one.text
        for dry_run in (False, True):
            answer = await client.post(PATH, json=wish | {"dry_run": dry_run})
            assert answer.status_code == 403
            assert 'scope="all-sites"' in answer.headers["www-authenticate"]
            assert answer.json()["type"] == "urn:stroke:problem:scope-missing"
        assert (await served(client))["number"] == 0
        refused = [each.event for each in parts.audit.kept if each.event.outcome == "refused"]
        assert refused
        assert SECRET not in str(refused)

        client.headers["X-API-Key"] = of_all.text
        answer = await client.post(PATH, json=wish)
        assert (answer.status_code, answer.json()["type"]) == (
            409,
            "urn:stroke:problem:deployment-refused",  # there is nothing to roll back to
        )


@pytest.mark.parametrize("query", [{"since": "yesterday"}, {"model": ""}, {"site": "a\nb"}])
async def test_an_agreement_is_not_asked_for_with_nonsense(
    stage: tuple[Parts, httpx.AsyncClient], query: dict[str, str]
) -> None:
    _, client = stage
    assert (await client.get("/api/v1/models/agreement", params=query)).status_code == 422


async def test_a_canary_is_taken_back_for_what_other_workers_have_stored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copytree(SHIPPED / DEFAULT, tmp_path / "mine")
    monkeypatch.setenv("STROKE_MODEL_STORE", str(tmp_path))
    monkeypatch.setenv("STROKE_MODEL_POLL_SECONDS", "0.02")
    monkeypatch.setenv("STROKE_CANARY_LOOK_SECONDS", "0.02")
    monkeypatch.setenv("STROKE_CANARY_PATIENTS", "30")
    parts = service_parts(("bmi", "avg_glucose_level"))
    async with connected(parts.app) as client:
        canary = {"action": "canary", "model": "mine", "share": 0.5}
        version = (await client.post(PATH, json=canary)).json()["challenger"]["version"]
        later = utc_now() + timedelta(seconds=1)
        for answered_by, risk in (("fake-1", 0.01), (version, 0.9)):
            made = prediction(risk, model_version=answered_by, made_at=later)
            await parts.repository.add([made] * 30)

        for _ in range(3000):
            if (found := await served(client))["challenger"] is None:
                break
            await asyncio.sleep(0.02)

    assert (found["action"], found["by"]) == ("canary-breach", "service:canary-guard")
    assert found["reason"] == (
        "guard bands: the share of Medium and High differs from the champion's by +100.0 "
        "percentage points (limit 10.0)"
    )
