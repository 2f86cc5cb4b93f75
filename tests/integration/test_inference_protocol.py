"""A client of the Open Inference Protocol that others wrote, against the live service."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
import uvicorn
from pydantic import SecretStr
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from builders.inference import DATATYPES, FEATURES
from builders.predictions import patient_json
from stroke.adapters.sql import schema as database
from stroke.config import Settings
from stroke.container.service import Container
from stroke.entrypoints.api.app import create_app

AGES = [44.0, 67.5, 82.0]
ROWS = len(AGES)


class Served(NamedTuple):
    address: str
    file: Path
    client: InferenceServerClient
    model: str
    version: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the application on SQLite, in a thread of its own, on a free port."""
    file = tmp_path_factory.mktemp("inference") / "stroke.db"
    loaded = Settings.load()
    url = SecretStr(f"sqlite:///{file}")
    chosen = loaded.model_copy(update={"database": loaded.database.model_copy(update={"url": url})})
    database.upgrade(chosen.database.sqlalchemy_url)
    app = create_app(Container(settings=chosen))
    config = uvicorn.Config(app, port=0, lifespan="on", log_config=None, server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)
    host = f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    described = httpx.get(f"http://{host}/model_info", timeout=60).json()
    with InferenceServerClient(host) as client:
        name, version = described["name"], described["version"]
        yield Served(f"http://{host}", file, client, name, version)
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


def tensors(
    names: Sequence[str] = FEATURES, *, binary: bool = True, tall: bool = False
) -> list[InferInput]:
    """Return the inputs of patients who differ by age alone, as numpy arrays."""
    kinds: dict[str, Any] = {"FP64": np.float64, "INT64": np.int64, "BYTES": np.object_}
    made = []
    for name in names:
        values = AGES if name == "age" else [patient_json()[name]] * ROWS
        array = np.array(values, kinds[DATATYPES[name]])
        if tall:
            array = array[:, None]
        each = InferInput(name, list(array.shape), DATATYPES[name])
        made.append(each.set_data_from_numpy(array, binary_data=binary))
    return made


def stored(served: Served) -> int:
    with sqlite3.connect(served.file) as connection:
        count: int = connection.execute("SELECT COUNT(*) FROM predictions").fetchone()[0]
    return count


def test_the_client_finds_the_server_and_the_model_ready(served: Served) -> None:
    client = served.client
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(served.model)
    assert client.is_model_ready(served.model, served.version)
    assert not client.is_model_ready(served.model, "none")
    assert client.get_server_metadata()["name"] == "stroke"
    metadata = client.get_model_metadata(served.model)
    assert metadata["versions"] == [served.version]
    assert [each["name"] for each in metadata["inputs"]] == list(FEATURES)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("tall", [True, False])
def test_the_client_gets_what_a_prediction_says(
    served: Served, *, binary: bool, tall: bool
) -> None:
    before = stored(served)
    result = served.client.infer(
        served.model, tensors(binary=binary, tall=tall), request_id="visit"
    )
    assert stored(served) == before
    assert result.get_response()["id"] == "visit"
    for row, age in enumerate(AGES):
        one = httpx.post(f"{served.address}/predict", json=patient_json(age=age), timeout=60).json()
        assert result.as_numpy("probability")[row] == pytest.approx(one["probability"], abs=1e-12)
        assert result.as_numpy("risk_category")[row] == one["risk_category"].encode()
        for each in one["explanation"]:
            found = result.as_numpy(f"contribution.{each['feature']}")
            assert found[row] == pytest.approx(each["log_odds"], abs=1e-9)


def test_the_client_chooses_outputs_and_their_form_and_compresses(served: Served) -> None:
    wanted = [
        InferRequestedOutput("probability", binary_data=False),
        InferRequestedOutput("risk_category"),
    ]
    result = served.client.infer(
        served.model,
        tensors(),
        served.version,
        outputs=wanted,
        request_compression_algorithm="gzip",
    )
    assert [each["name"] for each in result.get_response()["outputs"]] == [
        "probability",
        "risk_category",
    ]
    assert result.as_numpy("probability").shape == (ROWS,)


def test_the_client_has_rows_stored(served: Served) -> None:
    before = stored(served)
    result = served.client.infer(served.model, tensors(list(DATATYPES)), parameters={"store": True})
    assert stored(served) == before + ROWS
    for row, number in enumerate(result.as_numpy("prediction_id")):
        kept = httpx.get(f"{served.address}/api/v1/predictions/{number}", timeout=60).json()
        assert kept["probability"] == result.as_numpy("probability")[row]


def test_the_client_raises_what_the_service_says(served: Served) -> None:
    with pytest.raises(InferenceServerException, match="inputs/age: is required") as one:
        served.client.infer(served.model, [tensors()[0]])
    assert one.value.status() == "422"
    with pytest.raises(InferenceServerException, match="No such model") as other:
        served.client.infer("another", tensors())
    assert other.value.status() == "404"
