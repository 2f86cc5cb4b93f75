# ruff: noqa: INP001 -- a script of its own
"""Serve moto's S3 on port 5000, with the bucket MOTO_S3_BUCKET if that is set.

For tests of what happens when S3 fails: while the file /tmp/fail is there, every request for S3 is
answered with 500.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import run_simple

FAIL = Path("/tmp/fail")  # noqa: S108 -- in a container of its own
REFUSAL = b"<Error><Code>InternalError</Code><Message>failing on demand</Message></Error>"


class S3OnDemand:
    """moto's application, unless it is told to fail."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        about_s3 = not environ["PATH_INFO"].startswith("/moto-api")
        if about_s3 and FAIL.exists():
            start_response("500 Internal Server Error", [("Content-Type", "application/xml")])
            return [REFUSAL]
        answered: Iterable[bytes] = self._moto(environ, start_response)
        return answered


if __name__ == "__main__":
    bucket = os.environ.get("MOTO_S3_BUCKET")
    if bucket:
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(bucket, "us-east-1")
    run_simple("0.0.0.0", 5000, S3OnDemand(), threaded=True)  # noqa: S104 -- in a container
