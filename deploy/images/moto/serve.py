# ruff: noqa: INP001 -- a script of its own
"""Serve moto's S3 on port 5000, with the bucket MOTO_S3_BUCKET if that is set.

Its objects are kept in MOTO_S3_FOLDER, if that is set: moto itself has them in memory only. An
object is on disk before its writer is answered.

For tests of what happens when S3 fails: while the file /tmp/fail is there, every request for S3 is
answered with 500. While /tmp/key is there, a request with another access key than the file's is
answered with 403, as S3 does.

moto believes a body that comes in chunks of AWS's encoding whatever it holds. Here it is decoded
first, and one that is not whole is answered with 400, as S3 does, and stored nowhere.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.exceptions import HTTPException
from werkzeug.serving import run_simple
from werkzeug.wsgi import ClosingIterator, get_input_stream

FAIL = Path("/tmp/fail")  # noqa: S108 -- in a container of its own
KEY = Path("/tmp/key")  # noqa: S108 -- the same
UNKNOWN = (
    b"<Error><Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id you provided does not "
    b"exist in our records.</Message></Error>"
)
REFUSAL = b"<Error><Code>InternalError</Code><Message>failing on demand</Message></Error>"
INCOMPLETE = (
    b"<Error><Code>IncompleteBody</Code><Message>The request body is not what its headers "
    b"announce.</Message></Error>"
)
READING = frozenset({"GET", "HEAD", "OPTIONS"})
# Those that the standard library computes; S3 checks others, too.
CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "x-amz-checksum-sha1": lambda body: hashlib.sha1(body).digest(),  # noqa: S324 -- S3's
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
}


class IncompleteBodyError(Exception):
    """A body is not what its headers announce; the text says in which way."""


class Shelf:
    """The newest version of every object, as a file: ``folder/BUCKET/KEY``, both quoted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        self._kept: dict[Path, object] = {}

    def restore(self) -> None:
        """Give moto what was kept."""
        for bucket in sorted(path for path in self._folder.iterdir() if path.is_dir()):
            name = unquote(bucket.name)
            if name not in self._backend.buckets:
                self._backend.create_bucket(name, "us-east-1")
            for file in bucket.iterdir():
                if not file.name.endswith(".part"):
                    self._backend.put_object(name, unquote(file.name), file.read_bytes())
        self._kept = dict(self._objects())

    def keep(self) -> None:
        """Write what moto has and the folder has not, and the other way round."""
        now = dict(self._objects())
        for path, stored in now.items():
            if self._kept.get(path) is not stored:
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_name("next.part")
                part.write_bytes(stored.value)
                part.replace(path)
        for path in self._kept.keys() - now.keys():
            path.unlink(missing_ok=True)
        self._kept = now

    def _objects(self) -> Iterator[tuple[Path, Any]]:
        for bucket in list(self._backend.buckets.values()):
            for key, stored in list(bucket.keys.items()):
                if hasattr(stored, "value"):  # not a marker of a deletion
                    yield self._folder / quote(bucket.name, "") / quote(key, ""), stored


def signed_with(key: str, environ: dict[str, Any]) -> bool:
    """Say whether a request names an access key; the health check's names none, and is let in."""
    signed = str(environ.get("HTTP_AUTHORIZATION", ""))
    return not signed or f"Credential={key}/" in signed


def decoded(framed: bytes, length: int) -> tuple[bytes, dict[str, str]]:
    """Return what a body in AWS's chunks holds, ``length`` bytes, and its trailers by name.

    A chunk is ``SIZE[;chunk-signature=...]``, a line break, SIZE (hexadecimal) bytes and a line
    break; the last one has the size 0, and trailers follow it. Signatures are not looked at.
    """
    rest, body = io.BytesIO(framed), b""
    while True:
        try:
            size = int(rest.readline().partition(b";")[0], 16)
        except ValueError:
            raise IncompleteBodyError(f"no size of a chunk after {len(body)} bytes") from None
        if size == 0:
            break
        chunk = rest.read(size)
        if len(chunk) < size or rest.read(2) != b"\r\n":
            raise IncompleteBodyError(f"a chunk of {size} bytes is not whole")
        body += chunk
    if len(body) != length:
        raise IncompleteBodyError(f"{len(body)} bytes, and {length} are announced")
    lines = [line.strip().decode("latin-1") for line in rest]
    named = (line.partition(":") for line in lines if ":" in line)
    return body, {name.strip().lower(): value.strip() for name, _, value in named}


def take_in(environ: dict[str, Any]) -> None:
    """Read the body of a request, and put it back whole, without AWS's chunks.

    Raises ``IncompleteBodyError`` for one that is not what the headers announce.
    """
    try:
        body = get_input_stream(environ).read()
    except (OSError, HTTPException) as error:
        raise IncompleteBodyError(f"the connection ended: {type(error).__name__}") from error
    length = environ.pop("HTTP_X_AMZ_DECODED_CONTENT_LENGTH", None)
    if length is not None:
        announced = environ.pop("HTTP_X_AMZ_TRAILER", "")
        body, trailers = decoded(body, int(length) if length.isdecimal() else -1)
        for name in filter(None, (one.strip().lower() for one in announced.split(","))):
            if name not in trailers:
                raise IncompleteBodyError(f"the trailer {name} is missing")
        for name, value in trailers.items():
            computed = CHECKSUMS.get(name)
            if computed and base64.b64encode(computed(body)).decode() != value:
                raise IncompleteBodyError(f"{name} is that of another body")
            if name.startswith("x-amz-checksum-"):
                environ["HTTP_" + name.upper().replace("-", "_")] = value
        environ["HTTP_X_AMZ_CONTENT_SHA256"] = "UNSIGNED-PAYLOAD"
        codings = [one.strip() for one in environ.pop("HTTP_CONTENT_ENCODING", "").split(",")]
        if left := ", ".join(one for one in codings if one not in {"", "aws-chunked"}):
            environ["HTTP_CONTENT_ENCODING"] = left
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("wsgi.input_terminated", None)
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}


class S3OnDemand:
    """moto's application, unless it is told to fail.

    It carries out one request after the other: moto reads an object through one file, whose place
    two threads would move at the same time.
    """

    def __init__(self, shelf: Shelf | None) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._shelf = shelf
        self._one_at_a_time = threading.Lock()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        about_s3 = not environ["PATH_INFO"].startswith("/moto-api")
        if about_s3 and FAIL.exists():
            start_response("500 Internal Server Error", [("Content-Type", "application/xml")])
            return [REFUSAL]
        if about_s3 and KEY.exists() and not signed_with(KEY.read_text().strip(), environ):
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [UNKNOWN]
        writes = about_s3 and environ["REQUEST_METHOD"] not in READING
        if writes:
            try:
                take_in(environ)
            except IncompleteBodyError as error:
                sys.stderr.write(f"refused {environ['REQUEST_METHOD']}: {error}\n")
                start_response("400 Bad Request", [("Content-Type", "application/xml")])
                return [INCOMPLETE]
        with self._one_at_a_time:
            with closing(ClosingIterator(self._moto(environ, start_response))) as answer:
                answered = list(answer)  # the request is carried out by then
            if writes and self._shelf is not None:
                self._shelf.keep()
        return answered


if __name__ == "__main__":
    folder = os.environ.get("MOTO_S3_FOLDER")
    shelf = Shelf(Path(folder)) if folder else None
    if shelf is not None:
        shelf.restore()
    bucket = os.environ.get("MOTO_S3_BUCKET")
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    if bucket and bucket not in backend.buckets:
        backend.create_bucket(bucket, "us-east-1")
    run_simple("0.0.0.0", 5000, S3OnDemand(shelf), threaded=True)  # noqa: S104 -- in a container
