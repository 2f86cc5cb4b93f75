"""The Iceberg table of change events, read by Spark."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from stroke.adapters.spark.bucket import S3Access
from stroke.adapters.spark.changes import SKIPPED, events_of, measured, schema_of_changes
from stroke.adapters.spark.faults import translated
from stroke.application.analyses.ports import ChangeHistory, ChangeSource, Position, SourceRead
from stroke.domain.errors import InvalidSetting


class SparkLake(ChangeSource[DataFrame]):
    """The events of ``table`` in the ``catalog`` of this session (see ``catalog_options``).

    With a ``site``, those about its predictions alone.
    """

    def __init__(
        self,
        session: SparkSession,
        *,
        catalog: str,
        table: str,
        history: ChangeHistory,
        site: str | None = None,
    ) -> None:
        self._site = site
        self._session = session
        self._name = f"{catalog}.{table}"
        self._history = history

    @translated("the change events")
    def read(self, since: Position | None = None, *, with_name: bool) -> SourceRead[DataFrame]:
        now = self._history.now()
        if since is not None:
            self._history.check_follows(since, now)
        if now["snapshot_id"] is None or now == since:
            empty = self._session.createDataFrame([], schema_of_changes(with_name=with_name))
            return SourceRead(empty, lambda: now, 0)
        options = {"versionAsOf": now["snapshot_id"]}
        if since is not None and since["snapshot_id"] is not None:
            options = {
                "start-snapshot-id": since["snapshot_id"],
                "end-snapshot-id": now["snapshot_id"],
            }
        stored = self._session.read.options(**options).table(self._name)
        place = {
            "cluster": sf.coalesce(sf.col("_kafka_metadata.cluster"), sf.lit("")),
            "kafka_partition": sf.col("_kafka_metadata.partition"),
            "place": sf.col("_kafka_metadata.offset"),
        }
        known = stored.select("after.*").columns
        if self._site is not None:
            # An older log knows of no site.
            of_row = sf.coalesce(sf.col("after.site"), sf.col("before.site"))
            stored = stored.where(of_row == self._site if "site" in known else sf.lit(False))
        values = {
            name: sf.col(f"after.`{column}`")
            for name, (column, _) in measured(with_name=with_name).items()
            if column in known
        }
        columns = events_of("", values, place, with_name=with_name)
        nothing = sf.lit(None).cast("string").alias(SKIPPED)
        return SourceRead(stored.select(*columns, nothing), lambda: now)


def catalog_options(
    kind: str, *, name: str, uri: str | None, warehouse: str, bucket: S3Access
) -> dict[str, str]:
    """Return the settings of a Spark session that knows the lake's catalog.

    ``name`` must be the sink's: a JDBC catalog keeps its tables under it. Raises
    ``InvalidSetting``.
    """
    given: dict[str, str | None] = {
        "type": kind,
        "warehouse": warehouse,
        "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "client.region": bucket.region,
        "s3.endpoint": bucket.endpoint,
        "s3.path-style-access": str(bucket.path_style).lower(),
        "s3.access-key-id": bucket.access_key_id,
        "s3.secret-access-key": bucket.secret_access_key,
        **_catalog(kind, uri),
    }
    catalog = f"spark.sql.catalog.{name}"
    options = {f"{catalog}.{key}": value for key, value in given.items() if value is not None}
    return {catalog: "org.apache.iceberg.spark.SparkCatalog", **options}


def _catalog(kind: str, uri: str | None) -> dict[str, str | None]:
    if kind == "glue":
        return {}
    if uri is None:
        raise InvalidSetting(f"a {kind} catalog needs STROKE_LAKE_CATALOG_URI")
    if kind == "rest":
        return {"uri": uri}
    parts = urlsplit(uri)
    if parts.scheme not in {"mysql", "postgresql"}:
        raise InvalidSetting("on Spark STROKE_LAKE_CATALOG_URI must be mysql:// or postgresql://")
    port = f":{parts.port}" if parts.port else ""
    return {
        "uri": f"jdbc:{parts.scheme}://{parts.hostname}{port}{parts.path}",
        "jdbc.user": unquote(parts.username or ""),
        "jdbc.password": unquote(parts.password or ""),
    }
