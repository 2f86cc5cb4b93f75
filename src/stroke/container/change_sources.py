"""What stands behind the name of a source of changes.

Whoever reads one of them imports that one: each is slow to import, and some need an extra.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from stroke.config import FilesSettings, PipelineSettings
from stroke.domain.errors import InvalidSetting
from stroke.domain.prediction import PredictionFilter

if TYPE_CHECKING:
    from stroke.application.analyses.ports import BatchSource


def source_of(
    settings: PipelineSettings,
    name: str,
    as_of: datetime | None = None,
    site: str | None = None,
    *,
    with_data: bool = False,
) -> BatchSource:
    """Return the source called ``name``, which is one that ``analytics.duckdb_analytics`` takes.

    Raises ``InvalidSetting``. ``with_data`` adds the column ``prediction_data``.
    """
    if name == "iceberg":
        from stroke.adapters.iceberg.changes import IcebergChanges  # noqa: PLC0415
        from stroke.container.lake import lake_of  # noqa: PLC0415

        lake = lake_of(settings.lake)
        return IcebergChanges(lake, as_of=as_of, site=site, with_data=with_data)
    if as_of is not None:
        raise InvalidSetting("--as-of is for the change log (--source iceberg)")
    if name == "db":
        from stroke.adapters.sql.snapshot import SqlChanges  # noqa: PLC0415
        from stroke.container.engines import existing_database  # noqa: PLC0415

        within = PredictionFilter(site=site)
        return SqlChanges(existing_database(settings.database), within, with_data=with_data)
    if name == "kafka":
        return _topic(settings, with_data=with_data)
    from stroke.adapters.avro.changes import AvroChanges  # noqa: PLC0415
    from stroke.container.places import place_of  # noqa: PLC0415

    return AvroChanges(
        *place_of(settings.lake, name),
        max_block_bytes=most_of_a_block(),
        with_data=with_data,
    )


def most_of_a_block() -> int:
    """Return what a block of an Avro file may have decompressed, in bytes."""
    return FilesSettings.load().max_avro_block_bytes


def _topic(settings: PipelineSettings, *, with_data: bool) -> BatchSource:
    from stroke.adapters.avro.envelopes import AvroEnvelopes  # noqa: PLC0415
    from stroke.adapters.kafka.changes import KafkaChanges  # noqa: PLC0415
    from stroke.adapters.kafka.registry import SchemaRegistry  # noqa: PLC0415

    kafka = settings.kafka
    registry = SchemaRegistry(kafka.registry_url, timeout=kafka.timeout_seconds)
    return KafkaChanges(
        kafka.broker,
        settings.topic,
        schema_of=registry.schema,
        envelopes=AvroEnvelopes(),
        timeout=kafka.timeout_seconds,
        with_data=with_data,
    )
