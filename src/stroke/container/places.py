"""Folders, and prefixes of buckets, as the settings name them."""

from __future__ import annotations

from pathlib import Path

from pyarrow import fs

from stroke.config import LakeSettings
from stroke.config.urls import S3
from stroke.container.buckets import s3_files
from stroke.domain.errors import InvalidSetting


def place_of(settings: LakeSettings, address: str) -> tuple[fs.FileSystem, str]:
    """Return the file system and the path of a folder or an ``s3://`` prefix.

    Raises ``InvalidSetting`` for an address of another kind, and for one without a bucket.
    """
    if address.startswith(S3):
        path = address.removeprefix(S3)
        if not path.partition("/")[0]:
            raise InvalidSetting(f"{address} names no bucket: write s3://BUCKET/PREFIX")
        return _s3(settings), path
    if "://" in address:
        raise InvalidSetting(f"{address} is neither a folder nor s3://BUCKET/PREFIX")
    return fs.LocalFileSystem(), str(Path(address).resolve())


def _s3(settings: LakeSettings) -> fs.FileSystem:
    return s3_files(
        endpoint=settings.endpoint,
        path_style=settings.path_style,
        region=settings.region,
        access_key_id=settings.access_key_id,
        secret_access_key=settings.secret_access_key,
    )
