"""Models of a store as users handle them: signed, listed, archived, served."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from components.processes import run_stroke

EARLIER = Path(__file__).parent / "models" / "stroke-spline-lr-e9b54b6f8e26.onnx"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return run_stroke(*arguments, folder=tmp_path, within=120, settings=settings)

    return run


def test_a_model_is_imported_signed_listed_and_archived(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    key = Ed25519PrivateKey.generate()
    (tmp_path / "private.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "public.pem").write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    shutil.copy(EARLIER, tmp_path / "best.onnx")
    signed = {"STROKE_MODEL_PUBLIC_KEYS": "public.pem"}

    assert run("model", "import", "best.onnx", "--name", "best", **signed).returncode == 0
    refused = run("model", "verify", "--model", "best", **signed)
    assert refused.returncode == 1
    assert "is not signed" in refused.stderr

    assert run("db", "upgrade").returncode == 0
    signing = json.loads(run("model", "sign", "best", "--key", "private.pem", "--json").stdout)
    assert run("model", "verify", "--model", "best", **signed).returncode == 0
    [best] = [
        each
        for each in json.loads(run("model", "list", "--long", "--json").stdout)
        if each["name"] == "best"
    ]
    assert best["data_sha256"] is not None
    assert signing == {"version": best["version"], "signed_by": best["signed_by"]}
    assert best["made_by"]

    assert run("model", "archive", "best", SAVED_MODEL="best").returncode == 1
    archived = json.loads(run("model", "archive", "best", "--json").stdout)
    assert archived == {"archived": "best", "version": best["version"]}
    assert "best" not in json.loads(run("model", "list", "--json").stdout)
    too_long = run("model", "verify", "--model", "x" * 999)
    assert (too_long.returncode, "Traceback" in too_long.stderr) == (1, False)
    assert run("model", "verify", "--model", best["version"], **signed).returncode == 0
    trail = json.loads(run("audit", "list", "--json").stdout)
    done = {each["target"] for each in trail.get("entries", trail)} if trail else set()
    assert {"sign best", "archive best"} <= done
