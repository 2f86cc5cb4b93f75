"""The file that lists record systems: what is read, and what is refused."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from components.openid_provider import ec_key, public_jwk
from fakes.access import FakeTokenLedger
from stroke.config import Settings
from stroke.container.cds_clients import cds_clients, read_clients
from stroke.container.clock import utc_now
from stroke.domain.access import Scope
from stroke.domain.errors import InvalidSetting, NotAuthenticated

ONLY = frozenset({Scope.PREDICT})
GOOD = {"issuer": "https://ehr.example", "keys": "keys.json", "site": "north"}


def written(folder: Path, *clients: Any) -> Path:
    (folder / "keys.json").touch()
    path = folder / "clients.json"
    path.write_text(json.dumps({"clients": clients}))
    return path


def test_a_system_is_read_with_its_keys_beside_the_file(tmp_path: Path) -> None:
    [found] = read_clients(written(tmp_path, GOOD)).values()

    assert (found.keys, found.site) == (tmp_path / "keys.json", "north")


@pytest.mark.parametrize("keys", ["https://ehr.example/jwks", "http://127.0.0.1:8080/jwks"])
def test_keys_may_be_at_an_address(tmp_path: Path, keys: str) -> None:
    [found] = read_clients(written(tmp_path, GOOD | {"keys": keys})).values()

    assert found.keys == keys


@pytest.mark.parametrize(
    ("client", "said"),
    [
        ([], "must have issuer"),
        (GOOD | {"colour": "red"}, "must have issuer"),
        ({"issuer": "x"}, "must have issuer"),
        (GOOD | {"site": "a b"}, "site"),
        (GOOD | {"site": 7}, "must be texts"),
        (GOOD | {"issuer": ""}, "must be texts"),
        (GOOD | {"scopes": ["admin"]}, "must have issuer"),
        (GOOD | {"keys": "http://keys.example/jwks"}, "HTTPS"),
        (GOOD | {"keys": "file:///etc/keys"}, "HTTPS"),
        (GOOD | {"keys": "absent.json"}, "not there"),
        (GOOD | {"keys": "https://name:secret@keys.example/jwks"}, "HTTPS"),
    ],
)
def test_a_wrong_system_is_refused(tmp_path: Path, client: Any, said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        read_clients(written(tmp_path, client))


def test_a_file_without_systems_is_refused(tmp_path: Path) -> None:
    for path in (written(tmp_path), tmp_path / "absent.json"):
        with pytest.raises(InvalidSetting):
            read_clients(path)
    with pytest.raises(InvalidSetting, match="twice"):
        read_clients(written(tmp_path, GOOD, GOOD))


def test_systems_need_the_address_that_their_tokens_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROKE_CLINICAL_CLIENTS", "clients.json")

    with pytest.raises(InvalidSetting, match="STROKE_CLINICAL_PUBLIC_URL"):
        Settings.load()


def test_where_no_system_is_listed_nothing_takes_their_tokens() -> None:
    loaded = Settings.load()

    assert cds_clients(loaded.clinical, loaded.oidc, FakeTokenLedger(), utc_now) is None


@pytest.mark.anyio
async def test_each_system_has_its_site_and_its_own_ids_of_tokens(tmp_path: Path) -> None:
    key = ec_key("ehr", ec.SECP384R1)
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [public_jwk(key, "k1")]}))
    long = f"https://{'ehr.' * 60}example"
    loaded = Settings.load()
    listed = written(tmp_path, GOOD, GOOD | {"issuer": long, "site": "south"})
    clients = cds_clients(
        loaded.clinical.model_copy(update={"clients": listed}),
        loaded.oidc,
        FakeTokenLedger(),
        utc_now,
    )
    assert clients is not None
    now, address = int(time.time()), "https://risk.example"
    found = {}
    for issuer in (GOOD["issuer"], long):
        claims = {"iss": issuer, "aud": address, "iat": now, "exp": now + 60, "jti": "one"}
        token = jwt.encode(claims, key, "ES384", headers={"kid": "k1"})
        assert clients.knows(token)
        found[issuer] = await clients.caller(token, (address,))
        with pytest.raises(NotAuthenticated, match="used before"):
            await clients.caller(token, (address,))

    north, south = found[GOOD["issuer"]], found[long]
    assert (north.id, north.site, north.scopes) == (GOOD["issuer"], "north", ONLY)
    assert (south.site, south.scopes) == ("south", ONLY)
    assert len(south.name or "") <= 100
