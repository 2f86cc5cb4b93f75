"""What nobody should send to models over HTTP: it is refused, and nothing changes."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree
from typing import Any

import httpx
import pytest

from components.processes import Service, run_stroke
from stroke.adapters.onnx.store import DEFAULT, SHIPPED

STORED = "/api/v1/predictions"
ROWS: dict[str, tuple[str, list[Any]]] = {
    "gender": ("BYTES", ["Female", "Male"]),
    "age": ("FP64", [44.0, 82.0]),
    "hypertension": ("INT64", [0, 1]),
    "heart_disease": ("INT64", [0, 0]),
    "avg_glucose_level": ("FP64", [90.5, 201.0]),
    "bmi": ("FP64", [24.5, 31.0]),
    "smoking_status": ("BYTES", ["smokes", "never smoked"]),
    "name": ("BYTES", ["A", "B"]),
    "country": ("BYTES", ["C", "D"]),
    "province": ("BYTES", ["E", "F"]),
}
NESTED = b"[" * 40_000 + b"]" * 40_000


def tensors(**changes: dict[str, Any]) -> dict[str, Any]:
    """Return a request that stores two rows, with other members in some of its inputs."""
    inputs = [
        {"name": name, "shape": [2], "datatype": datatype, "data": data, **changes.get(name, {})}
        for name, (datatype, data) in ROWS.items()
    ]
    return {"parameters": {"store": True}, "inputs": inputs}


def _odd(*values: Any) -> tuple[Any, ...]:
    return values


WRONG: dict[str, dict[str, Any] | bytes] = {
    **{
        f"shape {shape}": tensors(age={"shape": shape})
        for shape in _odd(
            [],
            [0],
            [-2],
            [2.0],
            [2.5],
            ["2"],
            [True],
            [None],
            [3],
            [1, 2],
            [2, 0],
            [2, 1, 1],
            [2**63],
            [10**400],
            2,
            {},
            None,
        )
    },
    **{
        f"datatype {datatype}": tensors(age={"datatype": datatype})
        for datatype in _odd("FP32", "BOOL", "BYTES", "fp64", "", None, 64, [])
    },
    **{
        f"age {value}": tensors(age={"data": [44.0, value]})
        for value in _odd(-1, 1e308, 10**400, True, None, "44", [44], {}, [[44]])
    },
    "age 1e400": json.dumps(tensors()).replace("82.0", "1e400").encode(),
    "age NaN": json.dumps(tensors()).replace("82.0", "NaN").encode(),
    "age -Infinity": json.dumps(tensors()).replace("82.0", "-Infinity").encode(),
    "age as text": tensors(age={"datatype": "BYTES", "data": ["44", "82"]}),
    "flag 2": tensors(hypertension={"data": [0, 2]}),
    "flag 2**80": tensors(hypertension={"data": [0, 2**80]}),
    "flag 0.5": tensors(hypertension={"datatype": "FP64", "data": [0, 0.5]}),
    "flag text": tensors(hypertension={"data": [0, "1"]}),
    **{
        f"gender {value!r}"[:40]: tensors(gender={"data": ["Male", value]})
        for value in _odd("", "male\x00", "Male" * 9_999, 1, None, ["Male"], {"Male": 1})
    },
    "gender in half a pair": json.dumps(tensors()).replace('"Male"', '"\\ud800"').encode(),
    "name in half a pair": json.dumps(tensors()).replace('"B"', '"\\udfff"').encode(),
    "name too long": tensors(name={"data": ["A", "B" * 100_000]}),
    "data deep": tensors(age={"data": [[[44.0]], [[82.0]]]}),
    "data ragged": tensors(age={"shape": [2, 1], "data": [[44.0], [82.0, 1.0]]}),
    "data object": tensors(age={"data": {"0": 44.0}}),
    "data long": tensors(age={"data": [44.0] * 3}),
    "inputs object": {"inputs": {"age": [44.0]}},
    "inputs none": {"inputs": []},
    "inputs twice": {"inputs": tensors()["inputs"] * 2},
    "parameters list": tensors() | {"parameters": []},
    **{
        f"store {value!r}": tensors() | {"parameters": {"store": value}}
        for value in _odd("true", 1, None, [], {})
    },
    **{
        f"binary_data_output {value!r}": tensors() | {"parameters": {"binary_data_output": value}}
        for value in _odd("true", 1, [])
    },
    **{
        f"binary_data_size {value!r}": tensors(
            age={"data": None, "parameters": {"binary_data_size": value}}
        )
        for value in _odd(-1, 16, 2**70, "16", 1.0, True, [], None)
    },
    "outputs of none": tensors() | {"outputs": [{"name": "nothing"}]},
    "outputs number": tensors() | {"outputs": [1]},
    "id number": tensors() | {"id": 7},
    "deep": b'{"inputs":' + NESTED + b"}",
    "deep parameter": json.dumps(tensors() | {"id": "x"}).replace('"x"', NESTED.decode()).encode(),
    "no JSON": b"\xff\xfe{}",
    "empty": b"",
    "a number": b"1e999",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    for name in ("first", "second"):
        kept = folder / "models" / name
        copytree(SHIPPED / DEFAULT, kept)
        manifest = kept / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": f"{name}-1"}))
    with Service(folder, STROKE_HTTP_WORKERS="2") as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def infer(client: httpx.Client) -> Callable[..., httpx.Response]:
    name = client.get("/model_info").json()["name"]
    headers = {"Content-Type": "application/json"}

    def infer(body: bytes, **more: str) -> httpx.Response:
        path = f"/v2/models/{name}/infer"
        return client.post(path, content=body, headers=headers | more)

    return infer


def _count(client: httpx.Client) -> int:
    return len(client.get(STORED, params={"limit": 100}).json()["items"])


@pytest.mark.parametrize("what", WRONG)
def test_wrong_tensors_are_refused_and_nothing_is_stored(
    what: str, infer: Callable[..., httpx.Response], client: httpx.Client
) -> None:
    sent, before = WRONG[what], _count(client)
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()

    answer = infer(body)

    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]
    assert _count(client) == before


def test_texts_in_binary_data_that_lie_about_their_length_are_refused(
    infer: Callable[..., httpx.Response], client: httpx.Client
) -> None:
    before = _count(client)
    good = b"".join(struct.pack("<I", len(each)) + each for each in (b"Female", b"Male"))
    for part in (
        good[:-1],
        good + b"x",
        b"\xff\xff\xff\xff" + good[4:],
        struct.pack("<I", 2) + b"\xff\xfe" + struct.pack("<I", 4) + b"Male",
        b"\x00" * 8,
        b"\x00" * 7,
    ):
        own = {"data": None, "parameters": {"binary_data_size": len(part)}}
        head = json.dumps(tensors(gender=own)).encode()
        for length in (str(len(head)), "0", str(len(head) + len(part)), "-1", "9" * 5_000):
            answer = infer(head + part, **{"Inference-Header-Content-Length": length})
            assert 400 <= answer.status_code < 500, (part, length, answer.text)
    assert _count(client) == before


def test_of_changes_at_the_same_time_each_is_made_or_refused_and_all_are_written_down(
    service: Service, client: httpx.Client, folder: Path
) -> None:
    path = "/api/v1/models/deployment"
    known = client.get(path).json()["number"]

    def wish(model: str) -> httpx.Response:
        body = {"action": "promote", "model": model, "after": known, "reason": "a race"}
        return httpx.post(f"{service.url}{path}", json=body, timeout=60)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(wish, ["first", "second"] * 4))

    assert Counter(each.status_code for each in answers) == {200: 1, 409: 7}
    [made] = [each.json() for each in answers if each.status_code == 200]
    shown = client.get(path).json()
    assert (shown["number"], shown["champion"]["version"]) == (
        made["number"],
        made["champion"]["version"],
    )

    def unconditional(model: str) -> httpx.Response:
        body = {"action": "promote", "model": model}
        return httpx.post(f"{service.url}{path}", json=body, timeout=60)

    with ThreadPoolExecutor(8) as pool:
        more = list(pool.map(unconditional, ["first", "second"] * 4))

    assert {each.status_code for each in more} <= {200, 409}
    changed = [each.json() for each in more if each.status_code == 200]
    history = client.get("/api/v1/models/deployments").json()["items"]
    promoted = {each["number"] for each in history if each["action"] == "promote"}
    assert {each["number"] for each in changed} | {made["number"]} == promoted
    assert len(promoted) == len(changed) + 1
    exported = run_stroke("audit", "export", folder=folder, within=120)
    entries = [json.loads(line) for line in exported.stdout.splitlines()]
    outcomes = Counter(each["outcome"] for each in entries if each["action"] == "model.change")
    assert outcomes == {"asked": 16, "done": len(promoted), "failed": 16 - len(promoted)}
