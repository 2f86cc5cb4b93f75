"""The columns of the change log of which Iceberg's metadata holds the lowest and highest value."""

from __future__ import annotations

from typing import Final

BOUNDED: Final = (
    "before.id",
    "after.id",
    "_kafka_metadata.partition",
    "_kafka_metadata.offset",
    "_kafka_metadata.cluster",
)
"""The columns with bounds. The bounds of all others would be values of patients."""
