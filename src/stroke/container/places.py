"""Folders, and prefixes of buckets, as the settings name them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pyarrow import fs

from stroke.config import LakeSettings
from stroke.container.lake import revealed

S3: Final = "s3://"
"""How the address of a prefix begins."""


def place_of(settings: LakeSettings, address: str) -> tuple[fs.FileSystem, str]:
    """Return the file system and the path of a folder or an ``s3://`` prefix."""
    if address.startswith(S3):
        return _s3(settings), address.removeprefix(S3)
    return fs.LocalFileSystem(), str(Path(address).resolve())


def _s3(settings: LakeSettings) -> fs.FileSystem:
    return fs.S3FileSystem(
        access_key=settings.access_key_id,
        secret_key=revealed(settings.secret_access_key),
        region=settings.region,
        endpoint_override=settings.endpoint,
        force_virtual_addressing=not settings.path_style and settings.endpoint is not None,
    )
