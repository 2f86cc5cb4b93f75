"""Tokens that a record system signs, shown to a service of two workers that is really served."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec

from builders.charts import request
from components.openid_provider import ec_key, public_jwk
from components.processes import STROKE, Service, environment, run_stroke

ISSUER: Final = "https://ehr.hospital.example"
PUBLIC: Final = "https://risk.hospital.example"
PATH: Final = "/cds-services/stroke-risk"
PAUSE: Final = 0.5  # between two readings of the keys
OLD, NEW = ec_key("old", ec.SECP384R1), ec_key("new", ec.SECP384R1)


def publish(folder: Path, *keys: dict[str, Any]) -> None:
    (folder / "keys.json").write_text(json.dumps({"keys": keys}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service")
    publish(folder, public_jwk(OLD, "old"))
    client = {"issuer": ISSUER, "keys": "keys.json", "site": "north"}
    (folder / "clients.json").write_text(json.dumps({"clients": [client]}))
    return folder


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    with Service(
        folder,
        STROKE_HTTP_WORKERS="2",
        STROKE_CLINICAL_CLIENTS="clients.json",
        STROKE_CLINICAL_PUBLIC_URL=PUBLIC,
        STROKE_OIDC_PAUSE_SECONDS=str(PAUSE),
        STROKE_OIDC_KEYS_SECONDS="0.5",
    ) as running:
        yield running


def signed(token_id: str, key: Any = OLD, key_id: str = "old") -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": PUBLIC + PATH, "iat": now, "exp": now + 60, "jti": token_id}
    return jwt.encode(claims, key, "ES384", headers={"kid": key_id})


def call(service: Service, token: str) -> int:
    # A connection each, so that both workers get some.
    with urllib3.PoolManager() as pool:
        headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
        return pool.request("POST", service.url + PATH, json=request(), headers=headers).status


def test_of_many_calls_with_one_token_over_two_workers_one_is_served(service: Service) -> None:
    token = signed("CANARY-jti")

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: call(service, token), range(32)))

    assert sorted(found) == [200] + [401] * 31
    assert call(service, signed("another")) == 200


def test_a_key_that_was_taken_back_ends_in_both_workers_and_a_new_one_is_known(
    service: Service, folder: Path
) -> None:
    publish(folder, public_jwk(NEW, "new"))
    time.sleep(2 * PAUSE)

    for number in range(8):
        assert call(service, signed(f"new-{number}", NEW, "new")) == 200
    # A worker that reads the keys meanwhile takes the old one for this one call.
    calls, refused_in_a_row = 0, 0
    while refused_in_a_row < 8:
        assert calls < 40, "the old key still counts"
        status = call(service, signed(f"old-{calls}"))
        refused_in_a_row = refused_in_a_row + 1 if status == 401 else 0
        calls += 1


def test_a_list_that_is_wrong_is_said_before_anything_is_served(tmp_path: Path) -> None:
    (tmp_path / "clients.json").write_text('{"clients": [{"issuer": "https://ehr.example"}]}')
    ended = subprocess.run(
        [STROKE, "serve"],
        cwd=tmp_path,
        env=environment(
            STROKE_CLINICAL_CLIENTS="clients.json",
            STROKE_CLINICAL_PUBLIC_URL=PUBLIC,
            STROKE_HTTP_PORT="0",
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        (
            "stroke: STROKE_CLINICAL_CLIENTS: clients.json, client 0: must have issuer, keys and "
            "site, and nothing else"
        )
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read: No such file or directory"), ("[]", "must be a JSON object")],
)
def test_codes_that_are_wrong_are_said_before_anything_is_served(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "codes.json").write_text(content)
    done = run_stroke(
        *("serve", "--port", "0", "--workers", "2"),
        folder=tmp_path,
        settings={"STROKE_CLINICAL_CODES": "codes.json"},
    )

    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("stroke: the ")
    assert line.endswith(reason)


def test_no_token_and_nothing_of_it_is_written_down(service: Service) -> None:
    token = signed("CANARY-refused", key=OLD, key_id="CANARY-kid")

    assert call(service, token) == 401

    assert "CANARY" not in service.log
    assert token.rpartition(".")[2] not in service.log
