"""Tokens of a real Keycloak, shown to a service that is really served."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
import urllib3

from builders.predictions import patient_json
from components.keycloak import Keycloak
from components.processes import Service

pytestmark = pytest.mark.soak(
    "the image of Keycloak takes minutes to build, and its start half one"
)

KEYS_FOR = 1.0
PAUSE = 0.5  # between two readings of the keys


@pytest.fixture(scope="module")
def keycloak() -> Iterator[Keycloak]:
    with Keycloak() as keycloak:
        yield keycloak


@pytest.fixture(scope="module")
def service(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with Service(
        folder,
        STROKE_OIDC_ISSUER=keycloak.issuer,
        STROKE_OIDC_AUDIENCE="stroke",
        STROKE_OIDC_ROLES="clinician=predict+read+erase,auditor=audit,head=read+all-sites",
        STROKE_OIDC_SITE_CLAIM="clinics",
        STROKE_OIDC_SITES="/north=north,/south=south",
        STROKE_OIDC_LEEWAY_SECONDS="0",
        STROKE_OIDC_CACHE_SECONDS="0.5",
        STROKE_OIDC_KEYS_SECONDS=str(KEYS_FOR),
        STROKE_OIDC_PAUSE_SECONDS=str(PAUSE),
    ) as running:
        yield running


class Caller:
    """Sends requests with one token."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method: str, path: str, **more: Any) -> urllib3.BaseHTTPResponse:
        return urllib3.request(method, self._url + path, headers=self._headers, **more)

    def predict(self) -> urllib3.BaseHTTPResponse:
        return self.ask("POST", "/predict", json=patient_json())

    def status(self) -> int:
        return self.ask("GET", "/predictions").status


@pytest.fixture
def caller(service: Service) -> Callable[[str | None], Caller]:
    return lambda token: Caller(service.url, token)


Callers = Callable[[str | None], Caller]


def test_a_service_with_a_provider_is_closed_without_any_key(
    service: Service, keycloak: Keycloak, caller: Callers
) -> None:
    assert "everybody" not in service.log
    assert caller(None).ask("GET", "/health/ready").json()["access"] == "closed"
    assert caller(None).status() == 401
    scheme = caller(None).ask("GET", "/openapi.json").json()["components"]["securitySchemes"]
    where = scheme["openIdConnect"]["openIdConnectUrl"]
    assert urllib3.request("GET", where).json()["issuer"] == keycloak.issuer


def test_who_logs_in_reaches_the_rows_of_its_own_site_by_its_roles(
    keycloak: Keycloak, caller: Callers
) -> None:
    nora, sam = caller(keycloak.login("nora")), caller(keycloak.login("sam"))
    made = nora.predict()
    assert made.status == 200, made.data
    path = f"/api/v1/predictions/{made.json()['prediction_id']}"

    assert nora.ask("GET", path).status == 200
    assert sam.ask("GET", path).status == 404
    assert caller(keycloak.login("head")).ask("GET", path).status == 200
    assert nora.ask("GET", "/api/v1/audit").status == 403
    assert sam.ask("DELETE", path).status == 404
    assert nora.ask("DELETE", path).status == 204


def test_a_program_gets_a_token_without_a_user(keycloak: Keycloak, caller: Callers) -> None:
    ward = caller(keycloak.program())
    made = ward.predict().json()["prediction_id"]
    path = f"/api/v1/predictions/{made}"
    assert caller(keycloak.login("sam")).ask("GET", path).status == 200
    assert caller(keycloak.login("nora")).ask("GET", path).status == 404


def test_a_user_without_a_role_or_a_site_hears_what_is_missing(
    keycloak: Keycloak, caller: Callers
) -> None:
    cook = caller(keycloak.login("cook")).predict()
    assert (cook.status, cook.json()["detail"]) == (403, "this needs the scope predict")
    for user in ("nowhere", "both"):
        refused = caller(keycloak.login(user)).predict()
        assert (refused.status, refused.json()["type"]) == (403, "urn:stroke:problem:site-missing")
        assert "STROKE_OIDC_SITE_CLAIM" in refused.json()["detail"]


def test_a_token_for_another_audience_and_other_kinds_of_tokens_are_refused(
    keycloak: Keycloak, caller: Callers
) -> None:
    all_of_them = keycloak.tokens("nora")
    for token in (
        keycloak.login("nora", "elsewhere"),
        all_of_them["id_token"],
        all_of_them["refresh_token"],
    ):
        refused = caller(token).predict()
        assert refused.status == 401
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert caller(all_of_them["access_token"]).status() == 200


def test_a_token_ends_when_it_says_though_it_was_verified_before(
    keycloak: Keycloak, caller: Callers
) -> None:
    token = keycloak.login("nora", "brief")
    ends = jwt.decode(token, options={"verify_signature": False})["exp"]
    brief = caller(token)
    assert brief.status() == 200
    time.sleep(max(0.0, ends - time.time()))
    refused = brief.predict()
    assert (refused.status, refused.json()["detail"]) == (401, "the token has expired")


@pytest.mark.parametrize("client", ["es256", "ps256"])
def test_tokens_of_the_other_algorithms_hold(
    keycloak: Keycloak, caller: Callers, client: str
) -> None:
    token = keycloak.login("nora", client)
    assert jwt.get_unverified_header(token)["alg"] == client.upper()
    time.sleep(PAUSE)  # Keycloak makes such a key when it is first needed
    assert caller(token).status() == 200


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_real_token_with_a_forged_signature_is_refused(
    keycloak: Keycloak, caller: Callers, algorithm: str
) -> None:
    claims = jwt.decode(keycloak.login("nora"), options={"verify_signature": False})
    certificates = urllib3.request("GET", f"{keycloak.issuer}/protocol/openid-connect/certs")
    key = next(each for each in certificates.json()["keys"] if each["alg"] == "RS256")
    secret = "" if algorithm == "none" else str(key["n"])
    forged = jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": key["kid"]})
    assert caller(forged).status() == 401


def test_a_new_signing_key_is_known_at_once_and_one_taken_back_ends(
    keycloak: Keycloak, caller: Callers
) -> None:
    before = keycloak.login("nora")
    assert caller(before).status() == 200
    time.sleep(PAUSE)

    added = keycloak.add_signing_key(priority=200)
    rotated = keycloak.login("nora")
    ids = [jwt.get_unverified_header(token)["kid"] for token in (before, rotated)]
    assert ids[0] != ids[1]
    assert [caller(token).status() for token in (rotated, before)] == [200, 200]

    keycloak.remove_key(added)
    ends = time.monotonic() + 10
    while caller(rotated).status() == 200:
        assert time.monotonic() < ends, "a token of a key that was taken back still holds"
        time.sleep(0.2)
    assert caller(rotated).status() == 401
    assert caller(before).status() == 200


def test_no_token_and_no_name_of_a_user_is_in_the_log(
    service: Service, keycloak: Keycloak, caller: Callers
) -> None:
    token = keycloak.login("nora")
    caller(token).predict()
    caller(f"{token}x").predict()
    for secret in (token, token.split(".")[1], token.split(".")[2], "nora"):
        assert secret not in service.log
