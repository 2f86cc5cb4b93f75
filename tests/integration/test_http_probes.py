"""The service from a client's side, on one that is really served."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from components.containers import free_port
from components.processes import Service, new_key, upgrade_schema
from components.scripted_server import ScriptedServer
from contracts.doctor import PredictionApiContract
from stroke.adapters.http_probes.metrics import ScrapedMetrics
from stroke.adapters.http_probes.service import HttpPredictionApi
from stroke.domain.errors import EndpointUnavailable

ANSWERS = {
    "a problem": (503, {"status": 503, "detail": "The database is not ready."}),
    "a page": (404, b"<html>Not Found</html>"),
    "a document": (404, {"error": "Not Found"}),
    "a list": (404, []),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    database = f"sqlite:///{folder / 'stroke.db'}"
    upgrade_schema(database, folder)
    with Service(folder, STROKE_DATABASE_URL=database) as service:
        yield service


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """Return a service that asks for a key, and a key that the doctor's work needs."""
    folder = tmp_path_factory.mktemp("closed")
    database = f"sqlite:///{folder / 'stroke.db'}"
    text = new_key(folder, database, "predict,read,erase,metrics")
    with Service(folder, STROKE_DATABASE_URL=database) as service:
        yield service, text


class TestHttpPredictionApi(PredictionApiContract):
    @pytest.fixture
    def api(self, service: Service) -> HttpPredictionApi:
        return HttpPredictionApi(f"{service.url}/", seconds=30)

    @pytest.fixture(params=["nobody", "silent", *ANSWERS])
    def away(self, request: pytest.FixtureRequest) -> Iterator[HttpPredictionApi]:
        if request.param == "nobody":
            yield HttpPredictionApi(f"http://127.0.0.1:{free_port()}", seconds=30)
        elif request.param == "silent":
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port = listener.getsockname()[1]
                yield HttpPredictionApi(f"http://127.0.0.1:{port}", seconds=0.2)
        else:
            with ScriptedServer(ANSWERS[request.param]) as server:
                yield HttpPredictionApi(server.url, seconds=30)

    @pytest.fixture(params=[b"<html>", b"\xff", {"hello": "world"}, [], 7, None])
    def other(self, request: pytest.FixtureRequest) -> Iterator[HttpPredictionApi]:
        with ScriptedServer((200, request.param)) as server:
            yield HttpPredictionApi(server.url, seconds=30)


class TestHttpPredictionApiWithKey(PredictionApiContract):
    @pytest.fixture
    def api(self, closed: tuple[Service, str]) -> HttpPredictionApi:
        service, text = closed
        return HttpPredictionApi(service.url, seconds=30, api_key=text)

    @pytest.fixture
    def away(self) -> HttpPredictionApi:
        return HttpPredictionApi(f"http://127.0.0.1:{free_port()}", seconds=30, api_key="none")

    @pytest.fixture
    def other(self) -> Iterator[HttpPredictionApi]:
        with ScriptedServer((200, b"<html>")) as server:
            yield HttpPredictionApi(server.url, seconds=30, api_key="none")


@pytest.mark.anyio
async def test_without_its_key_the_doctor_says_what_is_missing(
    closed: tuple[Service, str],
) -> None:
    service, text = closed

    with pytest.raises(EndpointUnavailable, match="401: this needs an API key"):
        await HttpPredictionApi(service.url, seconds=30).provinces("Canada")
    with pytest.raises(EndpointUnavailable, match="401"):
        await ScrapedMetrics(f"{service.url}/metrics", seconds=30).names()
    names = await ScrapedMetrics(f"{service.url}/metrics", seconds=30, api_key=text).names()
    assert "http_requests" in names
