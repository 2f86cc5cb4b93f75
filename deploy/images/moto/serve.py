# ruff: noqa: INP001 -- a script of its own
"""Serve moto's S3 on port 5000, with the bucket MOTO_S3_BUCKET if that is set.

Its objects are kept in MOTO_S3_FOLDER, if that is set: moto itself has them in memory only. An
object is on disk before its writer is answered.

For tests of what happens when S3 fails: while the file /tmp/fail is there, every request for S3 is
answered with 500. While /tmp/key is there, a request with another access key than the file's is
answered with 403, as S3 does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import run_simple

FAIL = Path("/tmp/fail")  # noqa: S108 -- in a container of its own
KEY = Path("/tmp/key")  # noqa: S108 -- the same
UNKNOWN = (
    b"<Error><Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id you provided does not "
    b"exist in our records.</Message></Error>"
)
REFUSAL = b"<Error><Code>InternalError</Code><Message>failing on demand</Message></Error>"
READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Shelf:
    """The newest version of every object, as a file: ``folder/BUCKET/KEY``, both quoted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        self._kept: dict[Path, object] = {}
        self._one_at_a_time = threading.Lock()

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
        with self._one_at_a_time:
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


class S3OnDemand:
    """moto's application, unless it is told to fail."""

    def __init__(self, shelf: Shelf | None) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._shelf = shelf

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
        answered: Iterable[bytes] = self._moto(environ, start_response)
        if about_s3 and self._shelf is not None and environ["REQUEST_METHOD"] not in READING:
            answered = list(answered)  # the request is carried out by then
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
