"""The live service against its own OpenAPI document, as schemathesis reads it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from pydantic import SecretStr
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from components.openapi import INFERENCE, send_examples
from stroke.adapters.sql import schema as database
from stroke.config import Settings
from stroke.container.service import Container
from stroke.entrypoints.api.app import create_app

# Bounded and the same every time: what it finds in a build is the build's doing.
EXAMPLES = 40
# Few for each of the protocol's operations: the same code answers with and without a version.
OF_TENSORS = 15


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the application on SQLite, in a thread of its own, on a free port."""
    folder: Path = tmp_path_factory.mktemp("openapi")
    loaded = Settings.load()
    url = SecretStr(f"sqlite:///{folder}/stroke.db")
    chosen = loaded.model_copy(update={"database": loaded.database.model_copy(update={"url": url})})
    database.upgrade(chosen.database.sqlalchemy_url)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(Container(settings=chosen)),
            port=0,
            lifespan="on",
            log_config=None,
            server_header=False,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def document(address: str) -> schemathesis.schemas.BaseSchema:
    return schemathesis.openapi.from_url(f"{address}/openapi.json")


@pytest.fixture(scope="module")
def served(address: str) -> tuple[str, str]:
    """The name and the version of the served model."""
    model = httpx.get(f"{address}/model_info", timeout=60).json()
    return model["name"], model["version"]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_every_answer_is_one_that_the_document_promises(
    document: schemathesis.schemas.BaseSchema, served: tuple[str, str], mode: GenerationMode
) -> None:
    def send(case: schemathesis.Case[Any]) -> None:
        answer = case.call_and_validate()
        if mode is GenerationMode.POSITIVE and case.operation.path.startswith(INFERENCE):
            # A key that came before, with other rows, is the one thing that nobody can mend.
            assert answer.status_code in {HTTPStatus.OK, HTTPStatus.CONFLICT}

    checked = set()
    for result in document.get_all_operations():
        assert isinstance(result, Ok), "the document is not valid OpenAPI"
        operation = result.ok()
        checked.add(operation.label)
        examples = OF_TENSORS if operation.path.startswith(INFERENCE) else EXAMPLES
        send_examples(operation, mode, examples=examples, served=served, send=send)
    assert len(checked) == 36
