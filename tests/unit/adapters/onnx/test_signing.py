"""What a signature covers, and what is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from stroke.adapters.onnx.signing import (
    digests_of,
    key_id,
    private_key,
    public_keys,
    sign,
    signed_digests,
)
from stroke.domain.errors import InvalidModel, InvalidSetting, ModelNotFound

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))
FILES = {"model.onnx": b"graph", "manifest.json": b"{}", "provenance.json": b"[]"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mine"
    made.mkdir()
    for name, content in FILES.items():
        (made / name).write_bytes(content)
    return made


def test_what_was_signed_is_known_by_any_of_the_keys(folder: Path) -> None:
    signer = sign(folder, KEY)

    assert signer == key_id(KEY.public_key())
    assert signed_digests(folder, [OTHER.public_key(), KEY.public_key()]) == digests_of(folder)


def test_a_signature_by_another_key_or_none_at_all_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidModel, match="not signed"):
        signed_digests(folder, [KEY.public_key()])
    sign(folder, OTHER)
    with pytest.raises(InvalidModel, match="not signed by a key of"):
        signed_digests(folder, [KEY.public_key()])


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_what_was_signed_can_be_compared_with_what_is_read(folder: Path, name: str) -> None:
    sign(folder, KEY)
    (folder / name).write_bytes(b"other")

    signed = signed_digests(folder, [KEY.public_key()])

    assert {each for each, digest in digests_of(folder).items() if digest != signed[each]} == {name}


def test_a_provenance_that_was_changed_added_or_taken_away_is_found(folder: Path) -> None:
    provenance = folder / "provenance.json"
    sign(folder, KEY)
    provenance.write_bytes(b"other")
    with pytest.raises(InvalidModel, match="not the one that was signed"):
        signed_digests(folder, [KEY.public_key()])
    provenance.unlink()
    with pytest.raises(InvalidModel, match="not the one that was signed"):
        signed_digests(folder, [KEY.public_key()])
    sign(folder, KEY)
    assert signed_digests(folder, [KEY.public_key()]).keys() == {"model.onnx", "manifest.json"}
    provenance.write_bytes(b"[]")
    with pytest.raises(InvalidModel, match="not the one that was signed"):
        signed_digests(folder, [KEY.public_key()])


def test_a_provenance_that_cannot_be_read_is_none_that_was_signed(folder: Path) -> None:
    sign(folder, KEY)
    (folder / "provenance.json").unlink()
    (folder / "provenance.json").mkdir()

    with pytest.raises(ModelNotFound, match="cannot be read"):
        signed_digests(folder, [KEY.public_key()])


@pytest.mark.parametrize(
    "forge",
    [
        lambda document: {**document, "signature": "?"},
        lambda document: {**document, "signature": ""},
        lambda document: {**document, "algorithm": "none"},
        lambda document: {**document, "files": {}},
        lambda document: {**document, "files": []},
        lambda document: {**document, "files": {**document["files"], "code.py": "0" * 64}},
        lambda document: {**document, "files": {**document["files"], "model.onnx": "0" * 64}},
        lambda document: {**document, "files": {**document["files"], "model.onnx": "\ud800"}},
        lambda document: {**document, "files": {**document["files"], "model.onnx": 7}},
        lambda document: {**document, "files": {**document["files"], "model.onnx": None}},
        lambda document: {**document, "files": dict.fromkeys(document["files"], "0" * 63)},
        lambda document: {**document, "files": None},
        lambda document: {**document, "algorithm": ["ed25519"]},
        lambda document: {},
        lambda document: [],
    ],
)
def test_a_forged_signature_is_refused(
    folder: Path, forge: Callable[[dict[str, object]], object]
) -> None:
    sign(folder, KEY)
    file = folder / "signature.json"
    file.write_text(json.dumps(forge(json.loads(file.read_text()))))

    with pytest.raises(InvalidModel):
        signed_digests(folder, [KEY.public_key()])


@pytest.mark.parametrize("content", [b"\xff", b"", b"[" * 60_000, b'{"a":' * 12_000])
def test_what_is_no_json_is_no_signature(folder: Path, content: bytes) -> None:
    (folder / "signature.json").write_bytes(content)

    with pytest.raises(InvalidModel, match="cannot be read"):
        signed_digests(folder, [KEY.public_key()])


def test_what_is_no_artefact_is_not_signed(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no model\.onnx"):
        sign(tmp_path, KEY)


def pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_file_may_hold_several_public_keys_and_words_between_them(tmp_path: Path) -> None:
    file = tmp_path / "keys.pem"
    file.write_bytes(b"\n" + pem(KEY) + b"\n" + pem(OTHER))

    found = [key_id(key) for key in public_keys(file)]

    assert found == [key_id(KEY.public_key()), key_id(OTHER.public_key())]


@pytest.mark.parametrize(
    "content", [b"", b"words", b"\xff\xfe", pem(KEY).replace(b"MCow", b"AAAA")]
)
def test_a_file_without_a_usable_public_key_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys.pem"
    file.write_bytes(content)

    with pytest.raises(InvalidSetting):
        public_keys(file)
    with pytest.raises(InvalidSetting):
        public_keys(tmp_path / "none.pem")


# A well-formed key of an algorithm that has the number 1.2.3.4 and that nobody knows.
UNKNOWN_KIND = (
    b"-----BEGIN PUBLIC KEY-----\n"
    + base64.b64encode(bytes.fromhex("300d30050603" + "2a0304" + "03040041" + "4243"))
    + b"\n-----END PUBLIC KEY-----\n"
)


def test_keys_of_other_kinds_are_refused(tmp_path: Path) -> None:
    curve = generate_private_key(SECP256R1())
    (tmp_path / "public.pem").write_bytes(
        curve.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(InvalidSetting, match="not Ed25519"):
        public_keys(tmp_path / "public.pem")
    (tmp_path / "public.pem").write_bytes(UNKNOWN_KIND)
    with pytest.raises(InvalidSetting, match="cannot be read"):
        public_keys(tmp_path / "public.pem")
    kinds = [
        curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")),
        b"words",
    ]
    for content in kinds:
        (tmp_path / "private.pem").write_bytes(content)
        with pytest.raises(InvalidSetting):
            private_key(tmp_path / "private.pem")


def test_a_private_key_is_read(tmp_path: Path) -> None:
    content = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "private.pem").write_bytes(content)

    assert private_key(tmp_path / "private.pem").private_bytes_raw() == bytes(32)
