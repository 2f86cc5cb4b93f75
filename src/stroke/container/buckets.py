"""S3 as files, with the keys that settings give."""

from __future__ import annotations

from pyarrow import fs
from pydantic import SecretStr


def s3_files(
    *,
    endpoint: str | None,
    path_style: bool,
    region: str,
    access_key_id: str | None,
    secret_access_key: SecretStr | None,
) -> fs.FileSystem:
    """Return S3 as a file system; paths begin with the bucket. Nothing is opened yet.

    Without keys they are found as the AWS SDK finds them.
    """
    return fs.S3FileSystem(
        access_key=access_key_id,
        secret_key=None if secret_access_key is None else secret_access_key.get_secret_value(),
        region=region,
        endpoint_override=endpoint,
        force_virtual_addressing=not path_style and endpoint is not None,
    )
