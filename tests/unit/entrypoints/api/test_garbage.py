"""An answered request leaves nothing to Python's collector of cycles, which stops the service."""

from __future__ import annotations

import gc
from typing import Any

import orjson
import pytest
from starlette.types import Message

from builders.predictions import patient_json
from builders.service import Parts

pytestmark = pytest.mark.anyio

REQUESTS = 40


class Exchange:
    """One request and its answer, which hold each other as in the service's own protocol."""

    def __init__(self, path: str, body: bytes, state: Any) -> None:
        self.status = 0
        self._body = body
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "scheme": "http",
            "http_version": "1.1",
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8000),
            "state": dict(state),
        }

    async def receive(self) -> Message:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: Message) -> None:
        self.status = message.get("status", self.status)


@pytest.mark.parametrize(
    ("path", "status"), [("/predict", 200), ("/api/v1/predict", 200), ("/predict", 422)]
)
async def test_a_prediction_leaves_no_circle_behind(parts: Parts, path: str, status: int) -> None:
    body = b"{}" if status == 422 else orjson.dumps(patient_json())

    async def ask(state: Any) -> None:
        exchange = Exchange(path, body, state)
        await parts.app(exchange.scope, exchange.receive, exchange.send)
        assert exchange.status == status

    async with parts.app.router.lifespan_context(parts.app) as state:
        await ask(state)
        gc.collect()
        gc.disable()
        try:
            for _ in range(REQUESTS):
                await ask(state)
            assert gc.collect() < REQUESTS  # not one object for each
        finally:
            gc.enable()
