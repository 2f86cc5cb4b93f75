"""A caller of one site on every route that there is, with all ids of another site in hand."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from typing import Any, Final
from urllib.parse import unquote

import httpx
import pytest

from builders.asgi import connected
from builders.charts import request as chart
from builders.pages import Browser
from builders.predictions import patient_json
from builders.service import service_parts
from stroke.application.access.keys import KeyService
from stroke.container.clock import utc_now

pytestmark = pytest.mark.anyio
CANARY: Final = "Zoë Canary-7341"
COUNTRY: Final = "Canarystan"
SUBJECT: Final = "canary-subject-7341"
TODAY: Final = str(utc_now().date())
OUTCOME: Final = {"stroke": True, "date": TODAY, "source": "canary register"}
SECRETS: Final = (CANARY, COUNTRY, SUBJECT, "canary register")


@dataclass
class Theirs:
    """What the site north has, and a caller of the site south who knows all of its ids."""

    parts: Any
    client: httpx.AsyncClient
    south: dict[str, str]
    ids: dict[str, str]

    def kept(self) -> Any:
        """Return all that the service keeps of north."""
        parts = self.parts
        return (
            dict(parts.repository.rows),
            dict(parts.repository.outcomes),
            dict(parts.assessments.kept),
            dict(parts.assessments.feedback),
            dict(parts.erasures.jobs),
        )


async def key(parts: Any, site: str) -> dict[str, str]:
    keys = KeyService(parts.keys, now=utc_now)
    made = await keys.create(name=site, site=site, scopes=("admin",))
    return {"X-API-Key": made.text}


@pytest.fixture(params=["key", "session"])
async def theirs(request: pytest.FixtureRequest) -> AsyncIterator[Theirs]:
    parts = service_parts()
    async with connected(parts.app) as client:
        north, south = await key(parts, "north"), await key(parts, "south")

        async def send(method: str, path: str, **sent: Any) -> Any:
            answer = await client.request(method, path, headers=north, **sent)
            assert answer.is_success, answer.text
            return answer.json()

        number = (await send("POST", "/predict", json=patient_json(name=CANARY, country=COUNTRY)))[
            "prediction_id"
        ]
        await send("PUT", f"/api/v1/predictions/{number}/outcome", json=OUTCOME)
        document = chart()
        named = json.loads(json.dumps(document).replace("p1", SUBJECT))
        hook = await send("POST", "/cds-services/stroke-risk", json=named)
        card = hook["extension"]["stroke.riskAssessment"]
        job = await send("POST", "/api/v1/erasures", json={"ids": [number]})
        if request.param == "session":
            browser = Browser(client)
            signed = await browser.sign_in(south["X-API-Key"])
            assert signed.status_code == 303
            south = {"X-CSRF-Token": await browser.token("/ui")}
            client.headers["Accept"] = "*/*"
        ids = {"prediction_id": str(number), "assessment_id": card, "job_id": job["id"]}
        yield Theirs(parts, client, south, ids)


def addresses(theirs: Theirs) -> list[tuple[str, str, bool]]:
    """Return each method and path of the application, and whether one of north's ids is in it."""
    values = {
        **theirs.ids,
        "version": "fake-1",
        "name": "page.js",
        "model_name": "fake",
        "model_version": "fake-1",
    }
    found = []
    for route in theirs.parts.app.routes:
        if route.path.startswith("/ui/sign-"):
            continue  # they would end the session
        for method in sorted(getattr(route, "methods", None) or ()):
            path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: values[match[1]], route.path)
            named = set(re.findall(r"\{(\w+)", route.path))
            found.append((method, path, not named.isdisjoint(theirs.ids)))
    return found


def queries(theirs: Theirs) -> list[dict[str, str]]:
    """Return what narrows lists to north's rows, were they seen."""
    ids = theirs.ids
    return [
        {},
        {"site": "north", "limit": "100"},
        {"country": COUNTRY},
        {"name": CANARY, "q": CANARY, "limit": "100"},
        {"cursor": f"{int(ids['prediction_id']) + 1:x}"},
        {"patient": SUBJECT},
        {"patient": f"https://ehr.example/fhir/Patient/{SUBJECT}"},
        {"_id": ids["assessment_id"]},
        {"saved": ids["prediction_id"], "erased": ids["prediction_id"]},
        {"target": ids["prediction_id"]},
    ]


def bodies(theirs: Theirs) -> list[dict[str, Any]]:
    """Return bodies and forms that name what is north's."""
    number, card = theirs.ids["prediction_id"], theirs.ids["assessment_id"]
    feedback = {
        "card": card,
        "outcome": "overridden",
        "overrideReason": {"userComment": "mine now"},
        "outcomeTimestamp": f"{TODAY}T12:00:00Z",
    }
    return [
        {"json": {"ids": [int(number)]}},
        {"json": {"subjects": [f"Patient/{SUBJECT}"]}},
        {"json": {"feedback": [feedback]}},
        {"json": {"stroke": False, "date": TODAY, "source": "south"}},
        {"data": {"confirmed": number, "stroke": "no", "date": TODAY, "source": "south"}},
    ]


async def test_no_route_shows_or_changes_anything_of_another_site(theirs: Theirs) -> None:
    before = theirs.kept()
    called = 0
    for method, path, has_id in addresses(theirs):
        tries: list[dict[str, Any]] = (
            [{"params": each} for each in queries(theirs)]
            if method in {"GET", "HEAD"}
            else [{}, *bodies(theirs)]
        )
        for sent in tries:
            answer = await theirs.client.request(method, path, headers=theirs.south, **sent)
            called += 1
            own = {
                value
                for value in (*sent.get("params", {}).values(), *sent.get("data", {}).values())
                if any(secret in value for secret in SECRETS)
            }
            # A search may repeat what it looked for.
            shown = unquote(unescape(answer.text))
            for value in own:
                shown = shown.replace(value, "")
            seen = [secret for secret in SECRETS if secret in shown]
            assert not seen, f"{method} {path} {sorted(sent)} shows something of another site"
            if has_id:
                assert answer.status_code in {404, 415, 422}, f"{method} {path}"
    assert called > 200
    pages = await theirs.client.get("/ui/history", headers=theirs.south)
    assert pages.status_code == 200
    after = theirs.kept()
    for mine, now in zip(before, after, strict=True):
        assert {name: now[name] for name in mine} == mine
