"""A store of models in S3: its promises on a real server, its cache, and the commands upon it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

from components.containers import free_port
from components.object_store import LIMIT, ObjectStore
from components.processes import run_stroke
from contracts.artefacts import ArtefactStoreContract, artefact, read, version_of
from stroke.adapters.onnx.bucket_store import BucketStore
from stroke.domain.errors import InvalidModel, ModelStoreUnavailable

EARLIER = Path(__file__).parent / "models" / "stroke-spline-lr-e9b54b6f8e26.onnx"
MOST_BYTES = 1_000_000


@pytest.fixture
def root(s3: ObjectStore) -> str:
    return f"{s3.new_bucket()}/models"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def open_store(
    s3: ObjectStore, root: str, tmp_path: Path, said: list[str]
) -> Callable[..., BucketStore]:
    """Return what opens the store, as a host with ``cache`` does; one ``away`` reaches nobody."""

    def open_store(cache: str = "cache", *, away: bool = False, at: str = root) -> BucketStore:
        files = s3.files
        if away:
            files = S3FileSystem(
                access_key="local",
                secret_key="local",
                region="us-east-1",
                endpoint_override=f"http://127.0.0.1:{free_port()}",
                request_timeout=LIMIT,
                connect_timeout=LIMIT,
                retry_strategy=AwsStandardS3RetryStrategy(max_attempts=1),
            )
        return BucketStore(files, at, tmp_path / cache, most_bytes=MOST_BYTES, tell=said.append)

    return open_store


class TestBucketStore(ArtefactStoreContract):
    @pytest.fixture
    def store(self, open_store: Callable[..., BucketStore]) -> BucketStore:
        return open_store("one host")

    @pytest.fixture
    def twin(self, open_store: Callable[..., BucketStore]) -> BucketStore:
        return open_store("another host")

    @pytest.fixture
    def unwritable(self, open_store: Callable[..., BucketStore]) -> BucketStore:
        return open_store(at="no-such-bucket/models")


def test_what_was_used_once_is_there_while_the_bucket_cannot_be_reached(
    open_store: Callable[..., BucketStore], said: list[str]
) -> None:
    mine, other = artefact("mine"), artefact("other")
    store = open_store("first")
    store.put("mine", mine, replace=False)
    store.put("other", other, replace=False)
    used = open_store("second")
    used.stored("mine")
    assert said == []

    away = open_store("second", away=True)

    assert read(away.stored("mine")) == mine
    assert version_of(mine) in said[0]
    found = away.with_version(version_of(mine))
    assert found is not None
    assert read(found) == mine
    for call in (away.names, away.archived, lambda: away.stored("other")):
        with pytest.raises(ModelStoreUnavailable, match="cannot be read"):
            call()
    with pytest.raises(ModelStoreUnavailable, match="cannot be read"):
        away.with_version(version_of(other))


def test_a_copy_that_was_changed_on_this_machine_is_fetched_again(
    open_store: Callable[..., BucketStore],
) -> None:
    mine = artefact("mine")
    store = open_store()
    store.put("mine", mine, replace=False)
    for name in ("model.onnx", "manifest.json", "provenance.json"):
        (store.stored("mine") / name).write_bytes(b"something else")

        with pytest.raises(ModelStoreUnavailable):
            open_store(away=True).stored("mine")
        assert read(store.stored("mine")) == mine


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json", "card.md", "provenance.json"])
def test_what_was_changed_in_the_bucket_is_not_used(
    open_store: Callable[..., BucketStore], s3: ObjectStore, root: str, name: str
) -> None:
    mine = artefact("mine")
    open_store("first").put("mine", mine, replace=False)
    [path] = [each for each in s3.paths(root) if each.endswith(name)]
    with s3.files.open_output_stream(path) as stream:
        stream.write(b"something else")

    for call in (open_store().stored, open_store().with_version):
        with pytest.raises(InvalidModel, match="not what was put there"):
            call("mine" if call.__name__ == "stored" else version_of(mine))


def test_half_an_artefact_is_none_and_can_be_put_again(
    open_store: Callable[..., BucketStore], s3: ObjectStore, root: str
) -> None:
    mine = artefact("mine")
    store = open_store("first")
    store.put("mine", mine, replace=False)
    for path in s3.paths(root):  # a writer that was killed
        if not path.endswith("model.onnx"):
            s3.files.delete_file(path)

    assert store.names() == store.archived() == []
    assert open_store("new").with_version(version_of(mine)) is None
    store.put("mine", mine, replace=False)
    assert read(open_store("new").stored("mine")) == mine


def test_a_file_that_is_too_large_is_not_read(
    open_store: Callable[..., BucketStore], tmp_path: Path
) -> None:
    open_store("first").put("mine", artefact("mine", bytes(MOST_BYTES + 1)), replace=False)

    with pytest.raises(InvalidModel, match="more than 1,000,000 bytes"):
        open_store("second").stored("mine")
    assert not [*(tmp_path / "second").rglob("model.onnx")]


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"version": "../x", "digest": "0"}'])
def test_a_name_that_leads_nowhere_is_refused(
    open_store: Callable[..., BucketStore], s3: ObjectStore, root: str, text: bytes
) -> None:
    with s3.files.open_output_stream(f"{root}/names/mine.json") as stream:
        stream.write(text)

    with pytest.raises(InvalidModel, match="does not say which artefact"):
        open_store().stored("mine")


def test_a_bucket_that_is_not_there_is_no_empty_store(
    open_store: Callable[..., BucketStore],
) -> None:
    store = open_store(at="no-such-bucket/models")

    for call in (store.names, lambda: store.stored("mine")):
        with pytest.raises(ModelStoreUnavailable, match="no-such-bucket"):
            call()


def test_processes_of_a_host_may_fetch_the_same_model_at_once(
    open_store: Callable[..., BucketStore],
) -> None:
    mine = artefact("mine", bytes(range(256)) * 1000)
    open_store("first").put("mine", mine, replace=False)

    with ThreadPoolExecutor(8) as pool:
        folders = [*pool.map(lambda _: open_store("shared").stored("mine"), range(16))]

    assert len(set(folders)) == 1
    assert read(folders[0]) == mine
    assert [each.name for each in folders[0].parent.iterdir()] == [folders[0].name]


def test_the_commands_work_upon_a_bucket(s3: ObjectStore, root: str, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    (tmp_path / "private.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "public.pem").write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    shutil.copy(EARLIER, tmp_path / "best.onnx")
    other = tmp_path / "another host"
    other.mkdir()
    store = {
        "STROKE_MODEL_STORE": f"s3://{root}",
        "STROKE_MODEL_S3_ENDPOINT": s3.endpoint,
        "STROKE_MODEL_S3_PATH_STYLE": "true",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    signed = {"STROKE_MODEL_PUBLIC_KEYS": str(tmp_path / "public.pem")}

    def run(
        *arguments: str, folder: Path = tmp_path, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        return run_stroke(*arguments, folder=folder, within=120, settings=store | settings)

    imported = run("model", "import", "best.onnx", "--name", "best")
    assert imported.returncode == 0, imported.stderr
    again = run("model", "import", "best.onnx", "--name", "best")
    assert again.returncode == 1
    assert "--replace" in again.stderr
    refused = run("model", "verify", "--model", "best", folder=other, **signed)
    assert refused.returncode == 1
    assert "is not signed" in refused.stderr

    assert run("model", "sign", "best", "--key", "private.pem").returncode == 0
    assert run("model", "verify", "--model", "best", folder=other, **signed).returncode == 0
    [best] = [
        each
        for each in json.loads(run("model", "list", "--long", "--json", folder=other).stdout)
        if each["name"] == "best"
    ]
    assert best["signed_by"] is not None
    assert best["data_sha256"] == hashlib.sha256(EARLIER.read_bytes()).hexdigest()
    card = json.loads(run("model", "card", "--model", "best", "--json", folder=other).stdout)
    assert card["version"] == best["version"]

    away = {"STROKE_MODEL_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}", "SAVED_MODEL": "best"}
    kept = run("model", "verify", folder=other, **away, **signed)
    assert kept.returncode == 0, kept.stderr
    (tmp_path / "new").mkdir()
    nowhere = run("model", "verify", folder=tmp_path / "new", **away)
    assert nowhere.returncode == 1
    assert "cannot be read" in nowhere.stderr

    assert run("model", "archive", "best", SAVED_MODEL="best").returncode == 1
    assert run("model", "archive", "best").returncode == 0
    assert "best" not in json.loads(run("model", "list", "--json", folder=other).stdout)
    assert run("model", "verify", "--model", best["version"], folder=other).returncode == 0
    archived = json.loads(run("model", "list", "--long", "--archived", "--json").stdout)
    assert best["version"] in {each["version"] for each in archived if each["name"] is None}
