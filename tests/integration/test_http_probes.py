"""The service from a client's side, on one that is really served."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from components.containers import free_port
from components.processes import Service, upgrade_schema
from components.scripted_server import ScriptedServer
from contracts.doctor import PredictionApiContract
from stroke.adapters.http_probes.service import HttpPredictionApi

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
