"""A real S3 server for the tests: moto's, in a process of its own, its buckets in memory."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Self

from pyarrow.fs import FileSelector, S3FileSystem

from components.containers import free_port
from components.processes import wait_for

LIMIT: Final = 60.0
"""Seconds that a test's own reader waits for S3 to connect, and to say anything at all.

The AWS SDK's limits, one second and three, give up three times within ten seconds: a machine that
builds images beside the tests stands still for longer.
"""


class ObjectStore:
    """One server. It takes any credentials, or none with ``checks_keys``: it has no users.

    Buckets are addressed by path. It knows AWS's other services, too. Containers reach one at an
    ``address`` of their network.
    """

    def __init__(
        self, folder: Path, address: str = "127.0.0.1", *, checks_keys: bool = False
    ) -> None:
        self._settings = {"INITIAL_NO_AUTH_ACTION_COUNT": "0"} if checks_keys else {}
        port = free_port()
        self.endpoint = f"http://{address}:{port}"
        self._log = folder / "moto.log"
        self._command = [sys.executable, "-m", "moto.server", "-H", address, "-p", str(port)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **self._settings},
            )
        try:
            wait_for(f"{self.endpoint}/moto-api/data.json", alive=self._process)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def files(self) -> S3FileSystem:
        """The server as a file system; paths begin with the bucket."""
        return S3FileSystem(
            access_key="local",
            secret_key="local",
            region="us-east-1",
            endpoint_override=self.endpoint,
            request_timeout=LIMIT,
            connect_timeout=LIMIT,
            allow_bucket_creation=True,
        )

    def new_bucket(self) -> str:
        """Create an empty bucket; return its name."""
        name = f"test-{secrets.token_hex(6)}"
        self.files.create_dir(name)
        return name

    def new_catalog(self, uri: str) -> dict[str, Any]:
        """Return the settings of a lake whose catalog is at ``uri``, with a bucket of its own."""
        return {
            "name": "iceberg",
            "uri": uri,
            "warehouse": f"s3://{self.new_bucket()}/warehouse",
            "table": "stroke.predictions_changes",
            "region": "us-east-1",
            "endpoint": self.endpoint,
            "path_style": True,
            "access_key_id": "local",
            "secret_access_key": "local",
        }

    def paths(self, folder: str) -> set[str]:
        """Return the files under a folder."""
        found = self.files.get_file_info(FileSelector(folder, recursive=True))
        return {each.path for each in found if each.is_file}
