"""A cluster of Kafka: where it is, and how a client encrypts and logs in there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


@dataclass(frozen=True, slots=True)
class Broker:
    """The cluster at ``servers`` (``host:port``, several with commas).

    ``mechanism``, ``user`` and ``password`` count where the protocol begins with SASL, ``ca_file``
    (certificates in PEM) where it ends with SSL. Without a ``ca_file``, the authorities that the
    system knows count.
    """

    servers: str
    protocol: SecurityProtocol = "PLAINTEXT"
    mechanism: SaslMechanism = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None

    @property
    def encrypts(self) -> bool:
        """Whether clients speak TLS."""
        return self.protocol.endswith("SSL")

    @property
    def logs_in(self) -> bool:
        """Whether clients show a user and a password."""
        return self.protocol.startswith("SASL")
