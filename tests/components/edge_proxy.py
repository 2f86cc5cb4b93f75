"""The edge of deploy/images/edge, as its image starts it, on ports of this machine."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Final, Self

import urllib3

from components.containers import ROOT, free_port
from components.processes import wait_for
from components.programs import program

FOLDER: Final = ROOT / "deploy" / "images" / "edge"


def defaults() -> dict[str, str]:
    """Return the settings that the image has."""
    text = (FOLDER / "Dockerfile").read_text()
    return dict(re.findall(r"^(?:ENV|   ) (EDGE_\w+)=(\S+)", text, re.MULTILINE))


class EdgeProxy:
    """HAProxy before the service at ``upstream`` (host:port), with ``settings`` of its own."""

    def __init__(self, folder: Path, upstream: str, **settings: str) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.health_port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.certificate = folder / "tls.crt"
        self._log = folder / "edge.log"
        haproxy = Path(program("haproxy", "haproxy")).parent
        own = {
            "EDGE_SERVICE": upstream,
            "EDGE_PORT": str(self.port),
            "EDGE_HEALTH_PORT": str(self.health_port),
            "EDGE_CERTIFICATES": str(folder / "given"),
            "EDGE_DATA": str(folder),
            "TMPDIR": str(folder),
            "PATH": f"{haproxy}:{os.environ['PATH']}",
        }
        self.environment = defaults() | own | settings
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                ["bash", str(FOLDER / "start")],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(f"http://127.0.0.1:{self.health_port}/health", alive=self._process, within=30)
        except AssertionError as error:
            error.add_note(self.log)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    @property
    def log(self) -> str:
        """All that the edge has written."""
        return self._log.read_text()

    def client(self, address: str = "127.0.0.1") -> urllib3.HTTPSConnectionPool:
        """Return a client at ``address``, which trusts the edge's own certificate."""
        return urllib3.HTTPSConnectionPool(
            "127.0.0.1",
            self.port,
            ca_certs=str(self.certificate),
            source_address=(address, 0),
            retries=False,
            timeout=20,
        )

    def connection(self, address: str = "127.0.0.1") -> socket.socket:
        """Return a connection of TCP without TLS."""
        return socket.create_connection(
            ("127.0.0.1", self.port), timeout=20, source_address=(address, 0)
        )

    def tls(self, **versions: ssl.TLSVersion) -> ssl.SSLSocket:
        """Return a connection with TLS, of these ``minimum_version`` and ``maximum_version``."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.set_ciphers("ALL:@SECLEVEL=0")  # what the edge refuses, this client offers
        for name, version in versions.items():
            setattr(context, name, version)
        return context.wrap_socket(self.connection(), server_hostname="127.0.0.1")
