"""Behind a proxy, and called from another origin's page."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from builders.asgi import connected
from builders.predictions import patient_json
from stroke.config import Settings
from stroke.domain.errors import InvalidSetting
from stroke.entrypoints.api.proxies import BehindProxies

pytestmark = pytest.mark.anyio


async def seen(
    path: str = "/predict",
    *,
    root_path: str = "",
    client: str = "10.0.0.7",
    trusted: tuple[str, ...] = ("10.0.0.0/8", "::1"),
    **headers: str,
) -> Scope:
    """Return the scope that the application sees."""
    found: Scope = {}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        found.update(scope)

    networks = Settings.load().http.model_copy(update={"trusted_proxies": trusted})
    given = [(b"host", b"inner:8000")]
    given += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "scheme": "http", "client": (client, 1), "headers": given}
    scope |= {"path": path, "raw_path": path.encode(), "root_path": ""}

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    app = BehindProxies(application, root_path=root_path, trusted=networks.trusted_networks)
    await app(scope, nothing, nothing)
    return found


@pytest.mark.parametrize(
    ("path", "full"),
    [
        ("/predict", "/stroke/predict"),  # stripped
        ("/stroke/predict", "/stroke/predict"),  # left
        ("/strokes", "/stroke/strokes"),
        ("/", "/stroke/"),
        ("/stroke", "/stroke/"),
    ],
)
async def test_a_prefix_may_be_stripped_or_left(path: str, full: str) -> None:
    scope = await seen(path, root_path="/stroke")
    assert (scope["root_path"], scope["path"]) == ("/stroke", full)


FORWARDED = {
    "x_forwarded_prefix": "/apps/stroke/",
    "x_forwarded_proto": "https",
    "x_forwarded_host": "apps.example",
    "x_forwarded_for": "203.0.113.9, 10.0.0.1",
}


async def test_a_trusted_proxy_is_believed() -> None:
    scope = await seen(**FORWARDED)  # type: ignore[arg-type]
    assert scope["root_path"] == "/apps/stroke"
    assert scope["path"] == "/apps/stroke/predict"
    assert scope["scheme"] == "https"
    assert dict(scope["headers"])[b"host"] == b"apps.example"
    assert scope["client"] == ("203.0.113.9", 0)


@pytest.mark.parametrize("client", ["203.0.113.9", "11.0.0.1", "::2", "unknown"])
async def test_nobody_else_is_believed(client: str) -> None:
    scope = await seen(client=client, **FORWARDED)  # type: ignore[arg-type]
    assert (scope["root_path"], scope["path"]) == ("", "/predict")
    assert scope["scheme"] == "http"
    assert dict(scope["headers"])[b"host"] == b"inner:8000"
    assert scope["client"] == (client, 1)


@pytest.mark.parametrize("client", ["10.0.0.7", "::ffff:10.0.0.7", "::1"])
async def test_an_address_is_known_in_each_of_its_forms(client: str) -> None:
    assert (await seen(client=client, x_forwarded_proto="https"))["scheme"] == "https"


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the first one is invented
        ("203.0.113.9, 10.1.1.1, 10.2.2.2", "203.0.113.9"),
        ("203.0.113.9:51234", "203.0.113.9"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711, 10.1.1.1:80", "2001:db8::1"),
        ('"[2001:db8::1]:4711"', "2001:db8::1"),
        ("10.1.1.1", "10.0.0.7"),
        # It is somebody, and not the proxy.
        ("nonsense", "unknown"),
        ("_hidden", "unknown"),
        ("203.0.113.9, ", "unknown"),
        ("", "unknown"),
    ],
)
async def test_the_client_is_the_last_address_that_is_no_proxy(said: str, client: str) -> None:
    assert (await seen(x_forwarded_for=said))["client"][0] == client


@pytest.mark.parametrize(
    "prefix",
    ["//evil.example", "stroke", "/a b", "/<script>", "/a?b", "https://a.b", "/%2f"],
)
async def test_a_prefix_that_is_no_path_is_ignored(prefix: str) -> None:
    assert (await seen(root_path="/stroke", x_forwarded_prefix=prefix))["root_path"] == "/stroke"


@pytest.mark.parametrize("root_path", ["stroke", "/stroke/", "//x", "/a b", "/"])
def test_a_root_path_that_is_none_is_refused(
    root_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refused(monkeypatch, "STROKE_HTTP_ROOT_PATH", root_path)


@pytest.mark.parametrize("proxies", ["nginx", "10.0.0.1/8", "*", "10.0.0.0/8, nginx"])
def test_a_proxy_that_is_no_address_is_refused(
    proxies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refused(monkeypatch, "STROKE_HTTP_TRUSTED_PROXIES", proxies)


@pytest.mark.parametrize("origins", ["clinic.example", "https://*.example", "https://a/b"])
def test_an_origin_that_is_none_is_refused(origins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _refused(monkeypatch, "STROKE_HTTP_CORS_ORIGINS", origins)


def _refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting, match=name):
        Settings.load()


async def test_page_schema_and_files_are_found_behind_a_stripped_prefix(parts_with: Any) -> None:
    async with connected(parts_with(root_path="/stroke").app) as client:
        page = (await client.get("/docs")).text
        assert "'/stroke/openapi.json'" in page
        assert '"/stroke/docs/assets/swagger-ui-bundle.js"' in page
        schema = (await client.get("/openapi.json")).json()
        assert schema["servers"] == [{"url": "/stroke"}]
        for path in ("/docs/assets/swagger-ui.css", "/stroke/docs/assets/swagger-ui.css"):
            assert (await client.get(path)).status_code == 200
        for path in ("/predict", "/stroke/predict"):
            assert (await client.post(path, json=patient_json())).status_code == 200
        assert 'handler="/predict"' in (await client.get("/metrics")).text


ORIGIN = {"Origin": "https://clinic.example"}
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type, idempotency-key",
}


async def test_no_origin_is_allowed_by_default(client: Any) -> None:
    for answer in (
        await client.options("/predict", headers=ORIGIN | PREFLIGHT),
        await client.post("/predict", json=patient_json(), headers=ORIGIN),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_an_origin_that_is_allowed_may_predict_and_read_errors(parts_with: Any) -> None:
    parts = parts_with(cors_origins=("https://clinic.example",))
    async with connected(parts.app) as client:
        asked = await client.options("/predict", headers=ORIGIN | PREFLIGHT)
        assert asked.status_code == 200
        parts.repository.away = True
        for answer in (
            asked,
            await client.post("/predict", json={}, headers=ORIGIN),
            await client.get("/nowhere", headers=ORIGIN),
        ):
            assert answer.headers["access-control-allow-origin"] == "https://clinic.example"
        other = await client.get("/", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
