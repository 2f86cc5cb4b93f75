"""A Spark session as analyses need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from stroke.adapters.spark.faults import kind_of
from stroke.domain.errors import InvalidSetting

_OPTIONS: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.showConsoleProgress": "false",
    # What is kept is read some twenty times, within a minute: to pack it costs more than it saves.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    # What the web page and the logs must not show.
    "spark.redaction.regex": "(?i)secret|password|token|access[.-]?key|credential",
}
_PARTITIONS: Final = "spark.sql.shuffle.partitions"
_PER_CORE: Final = 2


@contextmanager
def spark_session(
    name: str,
    options: Mapping[str, str],
    *,
    master: str | None = None,
    secret: str | None = None,
) -> Iterator[SparkSession]:
    """Start Spark's driver; end it afterwards.

    Without ``master`` the one of Spark's own configuration is used, else this machine's cores.
    ``secret`` is what the parts of a cluster know of each other; what they say is encrypted, then.
    Raises ``InvalidSetting`` when it does not start.
    """
    authenticated = {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secret or "",
        "spark.network.crypto.enabled": "true",
    }
    try:
        # A builder's settings stand on the command line of the JVM, for everybody to read.
        for key, value in {**_OPTIONS, **options, **(authenticated if secret else {})}.items():
            SparkContext.setSystemProperty(key, value)
        builder = SparkSession.builder.appName(name)
        session = (builder if master is None else builder.master(master)).getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise InvalidSetting(
            f"Spark does not start ({kind_of(error)}): it needs Java 17 or 21, a master "
            "that answers, and for a cluster its STROKE_SPARK_SECRET"
        ) from error
    session.sparkContext.setLogLevel("ERROR")
    if not session.sparkContext.getConf().contains(
        _PARTITIONS
    ):  # Spark's 200 are for large clusters
        session.conf.set(_PARTITIONS, str(_PER_CORE * session.sparkContext.defaultParallelism))
    try:
        yield session
    finally:
        session.stop()
