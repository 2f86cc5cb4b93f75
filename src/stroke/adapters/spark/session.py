"""A Spark session as analyses need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from stroke.domain.errors import InvalidSetting

_OPTIONS: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.showConsoleProgress": "false",
    # What the web page and the logs must not show.
    "spark.redaction.regex": "(?i)secret|password|token|access[.-]?key|credential",
}
_PARTITIONS: Final = "spark.sql.shuffle.partitions"
_PER_CORE: Final = 4


@contextmanager
def spark_session(
    name: str, options: Mapping[str, str], *, master: str | None = None
) -> Iterator[SparkSession]:
    """Start Spark's driver, or use the one that runs; end it afterwards.

    Without ``master`` the one of Spark's own configuration is used, else this machine's cores.
    Raises ``InvalidSetting`` when it does not start.
    """
    builder = SparkSession.builder.appName(name)
    for key, value in {**_OPTIONS, **options}.items():
        builder = builder.config(key, value)
    if master is not None:
        builder = builder.master(master)
    try:
        session = builder.getOrCreate()
    except PySparkException as error:
        raise InvalidSetting(
            f"Spark does not start ({error.getCondition() or type(error).__name__}): it needs Java "
            "17 or 21 (JAVA_HOME)"
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
