"""The Iceberg table of change events, which the pipeline and the analyses share."""

from __future__ import annotations

from pydantic import SecretStr

from stroke.adapters.iceberg.catalog import Lake
from stroke.config import LakeSettings


def lake_of(settings: LakeSettings) -> Lake:
    """Return the table that the settings name; nothing is opened yet."""
    return Lake(
        settings.catalog,
        name=settings.catalog_name,
        uri=revealed(settings.catalog_uri),
        warehouse=settings.warehouse,
        table=f"{settings.namespace}.{settings.table}",
        region=settings.region,
        endpoint=settings.endpoint,
        path_style=settings.path_style,
        access_key_id=settings.access_key_id,
        secret_access_key=revealed(settings.secret_access_key),
        glue_retries=settings.glue_retries,
    )


def revealed(secret: SecretStr | None) -> str | None:
    """Return what a secret hides."""
    return None if secret is None else secret.get_secret_value()
