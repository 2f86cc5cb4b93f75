"""Signatures of artefacts: Ed25519 (RFC 8032) over the sha256 of each of an artefact's files."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from stroke.adapters.onnx.artefact_folder import write_signature
from stroke.adapters.onnx.manifest import GRAPH, MANIFEST, PROVENANCE, SIGNATURE
from stroke.domain.errors import InvalidModel, InvalidSetting, ModelNotFound

SIGNED: Final = (GRAPH, MANIFEST, PROVENANCE)
"""The files that a signature covers; the last one may be absent, and stays so."""

_ALGORITHM: Final = "ed25519"
_PURPOSE: Final = b"stroke model artefact, version 1\n"
_END: Final = "-----END PUBLIC KEY-----"
_MOST_BYTES: Final = 64 * 1024
_DIGEST: Final = re.compile("[0-9a-f]{64}")


def public_keys(path: Path) -> list[Ed25519PublicKey]:
    """Return the public keys in a PEM file, of which there may be several.

    Raises ``InvalidSetting``.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{path} cannot be read as a file of public keys") from error
    blocks = [f"{block}{_END}\n" for block in text.split(_END)[:-1]]
    if not blocks:
        raise InvalidSetting(f"{path} holds no public key in PEM")
    return [_public_key(block.strip().encode(), path) for block in blocks]


def private_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a PEM file without a password. Raises ``InvalidSetting``."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidSetting(f"{path} holds no private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidSetting(f"{path} holds no Ed25519 key")
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """Return the first 16 hexadecimal digits of the sha256 of a key's 32 bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def sign(folder: Path, key: Ed25519PrivateKey) -> str:
    """Write the signature of the artefact ``folder``; return the id of its key.

    Raises ``ModelNotFound`` where there is no artefact, ``InvalidSetting`` where it cannot be
    written.
    """
    content, signed_by = signature_of(folder, key)
    write_signature(folder, content)
    return signed_by


def signature_of(folder: Path, key: Ed25519PrivateKey) -> tuple[bytes, str]:
    """Return the signature of the artefact ``folder`` as a file's content, and its key's id.

    Raises ``ModelNotFound`` where there is no artefact.
    """
    digests = digests_of(folder)
    signed_by = key_id(key.public_key())
    written = {
        "algorithm": _ALGORITHM,
        "key": signed_by,
        "files": digests,
        "signature": base64.b64encode(key.sign(_message(digests))).decode(),
    }
    return (json.dumps(written, indent=2) + "\n").encode(), signed_by


def signed_digests(folder: Path, keys: Sequence[Ed25519PublicKey]) -> dict[str, str]:
    """Return the sha256 of each file that one of ``keys`` signed.

    Graph and manifest are not looked at: whoever reads them compares what it read. Nobody reads the
    provenance to serve a model, so that it is compared here, and must be absent where none was
    signed. Raises ``InvalidModel`` where there is no signature, none by any of ``keys``, or another
    provenance, and ``ModelNotFound`` where the provenance cannot be read.
    """
    document = read_signature(folder)
    if document is None:
        raise InvalidModel(f"{folder} is not signed (stroke model sign)")
    try:
        signature = base64.b64decode(document["signature"], validate=True)
        files = document["files"]
        digests = {name: files[name] for name in SIGNED if name in files}
        known = (
            document["algorithm"] == _ALGORITHM
            and set(files) <= set(SIGNED)
            and all(map(_DIGEST.fullmatch, digests.values()))
        )
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise InvalidModel(f"{folder / SIGNATURE} is no signature") from error
    if not known or not {GRAPH, MANIFEST} <= digests.keys():
        raise InvalidModel(f"{folder / SIGNATURE} is no signature of a model")
    message = _message(digests)
    if not any(_is_by(key, signature, message) for key in keys):
        raise InvalidModel(f"{folder} is not signed by a key of STROKE_MODEL_PUBLIC_KEYS")
    if _digest_of(folder / PROVENANCE) != digests.get(PROVENANCE):
        raise InvalidModel(f"{folder / PROVENANCE} is not the one that was signed")
    return digests


def digests_of(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of an artefact that a signature covers."""
    found = {}
    for name in SIGNED:
        digest = _digest_of(folder / name)
        if digest is not None:
            found[name] = digest
        elif name != PROVENANCE:
            raise ModelNotFound(f"{folder} has no {name}: it is no artefact")
    return found


def read_signature(folder: Path) -> dict[str, Any] | None:
    """Return what the signature's file holds, unchecked; None where there is none."""
    try:
        with (folder / SIGNATURE).open("rb") as file:
            found = json.loads(file.read(_MOST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidModel(f"{folder / SIGNATURE} cannot be read") from error
    if not isinstance(found, dict):
        raise InvalidModel(f"{folder / SIGNATURE} is no signature")
    return found


def _digest_of(file: Path) -> str | None:
    """Return the sha256 of a file, None where there is none. Raises ``ModelNotFound``."""
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelNotFound(f"{file} cannot be read: {error.strerror}") from error


def _message(digests: Mapping[str, str]) -> bytes:
    lines = [f"{name} {digests[name]}\n" for name in SIGNED if name in digests]
    return _PURPOSE + "".join(lines).encode()


def _is_by(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _public_key(pem: bytes, path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidSetting(f"{path} holds a public key that cannot be read") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidSetting(f"{path} holds a key that is not Ed25519")
    return key
