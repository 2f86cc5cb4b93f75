"""What commands of models say of a bucket, or of a database, that is not there or refuses them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.containers import free_port
from components.object_store import ObjectStore
from components.processes import run_stroke

SHIPPED = "stroke-spline-lr"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A server that knows nobody's keys."""
    with ObjectStore(tmp_path_factory.mktemp("strict"), checks_keys=True) as server:
        yield server


@pytest.fixture
def run(tmp_path: Path, s3: ObjectStore) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        for kind in ("STROKE_LAKE", "STROKE_MODEL_S3"):
            settings = {
                f"{kind}_ENDPOINT": s3.endpoint,
                f"{kind}_PATH_STYLE": "true",
                f"{kind}_ACCESS_KEY_ID": "local",
                f"{kind}_SECRET_ACCESS_KEY": "local",
                **settings,
            }
        return run_stroke(*arguments, folder=tmp_path, settings=settings, within=120)

    return run


def _said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    "command",
    [
        ("model", "replay", "--no-outcomes", "--source"),
        ("model", "compare", SHIPPED, SHIPPED, "--source"),
        ("analytics", "run", "--output", "out", "--source"),
    ],
    ids=lambda command: command[1],
)
def test_a_source_in_s3_that_cannot_be_read_is_named_with_what_to_do(
    command: tuple[str, ...],
    run: Callable[..., subprocess.CompletedProcess[str]],
    s3: ObjectStore,
    strict: ObjectStore,
) -> None:
    if command[1] == "compare":  # it asks for outcomes first
        assert run("db", "upgrade").returncode == 0
    bucket = f"s3://{s3.new_bucket()}"

    assert f"{bucket} has no .avro files" in _said(run(*command, bucket))
    nothing = _said(run(*command, f"{bucket}/some/prefix"))
    assert f"{bucket}/some/prefix cannot be read: nothing has a name" in nothing
    nowhere = _said(run(*command, "s3://no-such-bucket/x"))
    assert "there is no bucket s3://no-such-bucket; correct" in nowhere
    refused = _said(run(*command, bucket, STROKE_LAKE_ENDPOINT=strict.endpoint))
    assert f"{bucket} cannot be read: the keys may not" in refused
    assert "STROKE_LAKE_SECRET_ACCESS_KEY" in refused
    away = f"http://127.0.0.1:{free_port()}"
    silent = _said(run(*command, bucket, STROKE_LAKE_ENDPOINT=away))
    assert f"{bucket} cannot be read: nobody answers; correct STROKE_LAKE_ENDPOINT" in silent
    for address in ("s3://", "s3:///x"):
        assert f"{address} names no bucket" in _said(run(*command, address))
    assert "gs://x/y is neither a folder nor s3://" in _said(run(*command, "gs://x/y"))


@pytest.mark.parametrize("command", [("replay",), ("compare", SHIPPED, SHIPPED)])
def test_a_file_of_a_source_that_is_no_avro_file_is_said(
    command: tuple[str, ...], run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert run("db", "upgrade").returncode == 0
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes" / "broken.avro").write_bytes(b"neither Avro nor anything else")

    done = run("model", *command, "--source", "changes")

    assert "not events: files that are not of Avro, or of an unknown compression: 1" in done.stderr


def test_a_store_in_s3_that_cannot_be_read_is_named_with_what_to_do(
    run: Callable[..., subprocess.CompletedProcess[str]], s3: ObjectStore, strict: ObjectStore
) -> None:
    store = f"s3://{s3.new_bucket()}/models"

    nowhere = _said(run("model", "list", STROKE_MODEL_STORE="s3://no-such-bucket/x"))
    assert "there is no bucket s3://no-such-bucket; correct" in nowhere
    keys = {"STROKE_MODEL_STORE": store, "STROKE_MODEL_S3_ENDPOINT": strict.endpoint}
    refused = _said(run("model", "list", **keys))
    assert f"{store} cannot be read: the keys may not" in refused
    assert "STROKE_MODEL_S3_ACCESS_KEY_ID" in refused
    away = {
        "STROKE_MODEL_STORE": store,
        "STROKE_MODEL_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    }
    silent = _said(run("model", "list", **away))
    assert f"{store} cannot be read: nobody answers; correct STROKE_MODEL_S3_ENDPOINT" in silent


def test_no_command_that_uses_a_database_makes_one(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    there = tmp_path / "people.csv"
    assert run("simulate", "3", "--output", str(there)).returncode == 0
    url = f"sqlite:///{tmp_path}/mistyped.db"
    known = tmp_path / "known.csv"
    known.write_text("prediction_id,stroke,date,source\n1,0,2026-01-01,register\n")
    (tmp_path / "other.db").touch()

    using: tuple[tuple[str, ...], ...] = (
        ("model", "promote", SHIPPED),
        ("model", "rollback"),
        ("model", "canary", SHIPPED, "--share", "10%"),
        ("model", "shadow", SHIPPED),
        ("model", "status"),
        ("model", "agreement"),
        ("model", "replay"),
        ("model", "compare", SHIPPED, SHIPPED),
        ("predict", str(there), "--output", "scored.csv", "--store"),
        ("performance",),
        ("drift", "report"),
        ("keys", "list"),
        ("audit", "list"),
        ("audit", "verify"),
        ("db", "downgrade", "0001", "--yes"),
        ("db", "purge", "--older-than", "1y", "--dry-run"),
        ("erase", "predictions", "1", "--yes"),
        ("analytics", "run", "--output", "out", "--source", "db"),
        ("model", "update", "--model", SHIPPED, "--from-outcomes", "--name", "better"),
        ("outcomes", "import", str(known)),
        ("db", "copy", str(tmp_path / "other.db")),
    )
    for command in using:
        done = run(*command, STROKE_DATABASE_URL=url)
        assert not (tmp_path / "mistyped.db").exists(), command
        assert done.returncode == 1, (command, done.stderr)
        assert f"there is no database {tmp_path}/mistyped.db" in done.stderr, command
        assert "Traceback" not in done.stderr

    status = run("db", "status", STROKE_DATABASE_URL=url)
    assert (status.returncode, "revision: none" in status.stdout) == (1, True)
    assert not (tmp_path / "mistyped.db").exists()

    making: tuple[tuple[str, ...], ...] = (
        ("db", "upgrade"),
        ("keys", "create", "--name", "a", "--site", "b", "--scope", "admin"),
    )
    for command in making:
        assert run(*command, STROKE_DATABASE_URL=url).returncode == 0
        (tmp_path / "mistyped.db").unlink()
