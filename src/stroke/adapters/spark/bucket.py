"""S3 as Spark's own readers and writers need it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_S3: Final = "s3://"
_HADOOP: Final = "spark.hadoop.fs.s3a."


@dataclass(frozen=True, slots=True)
class S3Access:
    """Where S3 is, and the keys to it; without keys they are found as the AWS SDK finds them."""

    region: str
    endpoint: str | None = None
    path_style: bool = False
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)

    def options(self) -> dict[str, str]:
        """Return the settings of a Spark session that reaches addresses ``s3a://``."""
        is_encrypted = self.endpoint is None or self.endpoint.startswith("https:")
        given = {
            "endpoint.region": self.region,
            "endpoint": self.endpoint,
            "connection.ssl.enabled": str(is_encrypted).lower(),
            "path.style.access": str(self.path_style).lower(),
            "access.key": self.access_key_id,
            "secret.key": self.secret_access_key,
            # Files are read from their beginning to their end.
            "experimental.input.fadvise": "sequential",
        }
        return {f"{_HADOOP}{key}": value for key, value in given.items() if value is not None}


def address_for_spark(address: str) -> str:
    """Return what Spark calls a folder of this machine, or an ``s3://`` prefix."""
    if address.startswith(_S3):
        return f"s3a://{address.removeprefix(_S3)}"
    return address if "://" in address else f"file://{Path(address).resolve()}"
