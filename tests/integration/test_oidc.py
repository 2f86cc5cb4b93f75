"""Tokens of a real Keycloak, shown to a service that is really served."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import jwt
import pytest
import urllib3

from builders.predictions import patient_json
from components.keycloak import CLIENT, CLIENT_SECRET, Keycloak
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
        STROKE_OIDC_CLIENT_ID=CLIENT,
        STROKE_OIDC_CLIENT_SECRET=CLIENT_SECRET,
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


class Visitor:
    """A browser that keeps cookies for each host and port, and shows where it is led."""

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}

    def ask(
        self, method: str, url: str, fields: Mapping[str, str] | None = None, **headers: str
    ) -> urllib3.BaseHTTPResponse:
        kept = self.cookies.setdefault(urlsplit(url).netloc, {})
        sent = {"Accept": "text/html", **headers}
        if kept:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in kept.items())
        body = None if fields is None else urlencode(fields)
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        answer = urllib3.request(method, url, body=body, headers=sent, redirect=False)
        for header in answer.headers.getlist("set-cookie"):
            pair, *rest = header.split(";")
            name, _, value = pair.partition("=")
            ended = any(each.strip().lower() == "max-age=0" for each in rest)
            kept.pop(name, None) if ended else kept.update({name: value})
        return answer

    def led(self, url: str) -> str:
        """Return where ``url`` leads."""
        answer = self.ask("GET", url)
        assert answer.status in (302, 303), answer.data.decode()
        return urljoin(url, answer.headers["location"])

    def log_in(self, address: str, user: str) -> str:
        """Fill in the provider's form; return where it leads."""
        page = self.ask("GET", address).data.decode()
        form = re.search(r'id="kc-form-login"[^>]*action="([^"]+)"', page)
        assert form is not None, page
        fields = {"username": user, "password": "password", "credentialId": ""}
        answer = self.ask("POST", html.unescape(form[1]), fields)
        assert answer.status == 302, answer.data.decode()
        return answer.headers["location"]

    def token(self, service: Service) -> tuple[bool, str]:
        """Return whether the service knows who this is, and the token of its pages."""
        found = self.ask("GET", f"{service.url}/ui/session").json()
        return found["signed_in"], found["csrf_token"]

    def status(self, service: Service, path: str) -> int:
        """Ask the API as a page's script does."""
        headers = {"X-CSRF-Token": self.token(service)[1], "Accept": "application/json"}
        return self.ask("GET", service.url + path, None, **headers).status


def test_a_browser_signs_in_at_the_provider_and_out_of_it(
    service: Service, keycloak: Keycloak
) -> None:
    nora = Visitor()
    start = f"{service.url}/ui/sign-in/oidc?next=/ui/history"
    address = nora.led(start)
    assert address.startswith(f"{keycloak.issuer}/protocol/openid-connect/auth?")
    back = nora.log_in(address, "nora")
    assert back.startswith(f"{service.url}/ui/sign-in/callback?")

    assert nora.led(back) == f"{service.url}/ui/history"
    assert nora.ask("GET", f"{service.url}/ui/history").status == 200
    assert nora.status(service, "/predictions") == 200
    assert nora.status(service, "/api/v1/audit") == 403
    # The provider still knows her: no form.
    assert nora.led(start).startswith(f"{keycloak.issuer}/")
    assert nora.led(nora.led(start)).startswith(f"{service.url}/ui/sign-in/callback?")

    known, token = nora.token(service)
    assert known
    out = nora.ask("POST", f"{service.url}/ui/sign-out", {"csrf_token": token})
    address = out.headers["refresh"].removeprefix("0; url=")
    assert address.startswith(f"{keycloak.issuer}/")
    assert nora.led(address) == f"{service.url}/ui/sign-in"
    assert not nora.token(service)[0]
    assert "kc-form-login" in nora.ask("GET", nora.led(start)).data.decode()


def test_a_row_of_a_browser_belongs_to_the_site_of_its_user(
    service: Service, keycloak: Keycloak, caller: Callers
) -> None:
    made = caller(keycloak.login("nora")).predict().json()["prediction_id"]
    seen = {}
    for user in ("nora", "sam", "cook", "both"):
        visitor = Visitor()
        visitor.led(visitor.log_in(visitor.led(f"{service.url}/ui/sign-in/oidc"), user))
        seen[user] = visitor.status(service, f"/api/v1/predictions/{made}")
    assert seen == {"nora": 200, "sam": 404, "cook": 403, "both": 403}


def test_an_answer_with_another_state_or_a_code_that_was_used_signs_nobody_in(
    service: Service,
) -> None:
    nora, sam = Visitor(), Visitor()
    answer = nora.log_in(nora.led(f"{service.url}/ui/sign-in/oidc"), "nora")
    sam.led(f"{service.url}/ui/sign-in/oidc")
    assert sam.ask("GET", answer).status == 401
    changed = re.sub(r"state=[^&]+", "state=x", answer)
    way = dict(nora.cookies[urlsplit(service.url).netloc])
    assert nora.ask("GET", changed).status == 401

    for status in (303, 401):
        nora.cookies[urlsplit(service.url).netloc] = dict(way)
        assert nora.ask("GET", answer).status == status
    assert not sam.token(service)[0]


def test_no_code_and_no_token_of_a_browser_is_in_the_log(service: Service) -> None:
    nora = Visitor()
    answer = nora.log_in(nora.led(f"{service.url}/ui/sign-in/oidc"), "nora")
    nora.led(answer)
    code = re.search(r"[?&]code=([^&]+)", answer)
    assert code is not None
    for secret in (code[1], CLIENT_SECRET, "nora"):
        assert secret not in service.log
