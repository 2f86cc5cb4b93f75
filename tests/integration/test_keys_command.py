"""`stroke keys` as operators run it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from components.containers import MySqlServer
from components.databases import run_statements
from components.processes import run_stroke

KEY = re.compile(r"stroke_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")
WARD = ("--name", "ward", "--site", "north", "--scope")


class Keys:
    """The command on one database."""

    def __init__(self, folder: Path, url: URL) -> None:
        self._folder = folder
        self._settings = {"STROKE_DATABASE_URL": url.render_as_string(hide_password=False)}
        # On SQLite, to make the first key makes the database.
        if url.get_backend_name() == "mysql":
            self.upgrade()

    def upgrade(self) -> None:
        run_stroke("db", "upgrade", folder=self._folder, settings=self._settings)

    def run(self, *arguments: str, fails: int = 0) -> subprocess.CompletedProcess[str]:
        done = run_stroke(
            "keys", *arguments, folder=self._folder, within=120, settings=self._settings
        )
        assert done.returncode == fails, done.stderr
        return done

    def json(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*arguments, "--json").stdout)
        return found


@pytest.fixture
def keys(tmp_path: Path, url: URL) -> Keys:
    return Keys(tmp_path, url)


def test_a_key_is_shown_once_and_kept_as_a_hash(keys: Keys, url: URL) -> None:
    made = keys.json("create", *WARD, "predict,read", "--scope", "outcomes", "--expires", "90d")
    listed = keys.json("list")["keys"]

    assert KEY.fullmatch(made["key"])
    secret = made.pop("key")[-43:]
    assert listed == [made]
    assert (made["name"], made["site"], made["state"]) == ("ward", "north", "in force")
    assert made["scopes"] == ["outcomes", "predict", "read"]
    lives = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < lives <= timedelta(days=90)
    assert secret not in str(run_statements(url, "SELECT * FROM api_keys"))


def test_stdout_has_the_key_and_nothing_else(keys: Keys) -> None:
    made = keys.run("create", *WARD, "admin,all-sites")

    assert KEY.fullmatch(made.stdout.strip())
    assert made.stdout.strip() not in made.stderr
    assert made.stdout.strip() not in keys.run("list").stdout


def test_a_key_is_rotated_with_an_overlap_and_revoked(keys: Keys) -> None:
    made = keys.json("create", *WARD, "read")
    rotated = keys.json("rotate", "ward", "--overlap", "2h")
    revoked = keys.json("revoke", rotated["id"])["revoked"]
    former, new = keys.json("list")["keys"]

    assert rotated["key"] != made["key"]
    assert rotated["former"] == former
    assert (former["id"], former["state"]) == (made["id"], "in force")
    assert former["replaced_by"] == rotated["id"] == new["id"]
    left = datetime.fromisoformat(former["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=1, minutes=55) < left <= timedelta(hours=2)
    assert revoked == [new]
    assert new["state"] == "revoked"


def test_what_cannot_be_done_is_said_in_one_line_and_changes_nothing(keys: Keys) -> None:
    keys.upgrade()
    assert "there is no key" in keys.run("list").stdout
    for wrong, said in (
        (("create", *WARD, "predict,everything"), "scope must be one or more of predict, read"),
        (("create", "--name", "w", "--site", "a b", "--scope", "read"), "site must"),
        (("create", "--name", " ", "--site", "a", "--scope", "read"), "name must"),
        (("create", *WARD, "read", "--expires", "0d"), "expires must be a time to come"),
        (("revoke", "nobody"), "no key in force"),
    ):
        [line] = keys.run(*wrong, fails=1).stderr.splitlines()
        assert said in line
    assert keys.json("list") == {"keys": []}


def test_a_whole_key_counts_as_its_id_and_is_never_repeated(keys: Keys) -> None:
    made = keys.json("create", *WARD, "read")
    other = keys.json("create", "--name", "other", "--site", "north", "--scope", "read")
    secrets = made["key"][-43:], other["key"][-43:]
    nobody = f"stroke_{'0' * 16}_{secrets[0]}"

    done = [
        keys.run("rotate", made["key"]),
        keys.run("revoke", made["key"]),
        keys.run("revoke", f" {other['key'][:-1]}\n"),  # as it was pasted
        keys.run("revoke", nobody, fails=1),
        keys.run("rotate", nobody, fails=1),
        keys.run("revoke", f"x{made['key']}", fails=1),
    ]

    said = "".join(each.stdout + each.stderr for each in done)
    assert not [number for number, secret in enumerate(secrets) if secret[:-1] in said]
    states = {key["id"]: key["state"] for key in keys.json("list")["keys"]}
    assert (states[made["id"]], states[other["id"]]) == ("revoked", "revoked")
    assert len(states) == 3


Refusing = Callable[[str], None]


@pytest.fixture
def refusing(url: URL, request: pytest.FixtureRequest) -> Refusing:
    """Return what lets the trail refuse entries of an outcome, or ``any``."""
    if url.get_backend_name() != "sqlite":
        mysql: MySqlServer = request.getfixturevalue("mysql")
        mysql.execute(f"GRANT TRIGGER ON {url.database}.* TO '{url.username}'@'%%'")
        mysql.execute("SET GLOBAL log_bin_trust_function_creators = ON")
    return partial(_refuse, url)


def _refuse(url: URL, outcome: str) -> None:
    condition = "TRUE" if outcome == "any" else f"NEW.outcome = '{outcome}'"
    if url.get_backend_name() == "sqlite":
        body = f"WHEN {condition} BEGIN SELECT RAISE(ABORT, 'no'); END"
    else:
        signal = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'"
        body = f"FOR EACH ROW BEGIN IF {condition} THEN {signal}; END IF; END"
    run_statements(url, f"CREATE TRIGGER audit_refuses_more BEFORE INSERT ON audit {body}")


def test_no_key_changes_where_the_trail_refuses_entries(keys: Keys, refusing: Refusing) -> None:
    keys.json("create", *WARD, "read")
    before = keys.json("list")
    refusing("any")

    for change in (
        ("create", *WARD, "read"),
        ("revoke", "ward"),
        ("rotate", "ward"),
    ):
        done = keys.run(*change, fails=1)
        assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)

    assert keys.json("list") == before


def test_a_new_key_is_shown_where_only_the_entry_after_it_is_refused(
    keys: Keys, url: URL, refusing: Refusing
) -> None:
    made = keys.json("create", *WARD, "read")
    refusing("done")

    done = keys.run("rotate", "ward", fails=1)

    new = next(key for key in keys.json("list")["keys"] if key["id"] != made["id"])
    assert KEY.fullmatch(done.stdout.strip())
    assert new["id"] in done.stdout
    [entry] = run_statements(url, "SELECT target FROM audit WHERE outcome = 'asked' LIMIT 1, 1")
    assert entry == (made["id"],)
