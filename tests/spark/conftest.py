"""Tests that need Spark: they run where it is installed, in the image of Spark."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

collect_ignore_glob = [] if find_spec("pyspark") else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let py4j leave its sockets to the end of the process."""
    left_open = "ignore:(?s).*socket:pytest.PytestUnraisableExceptionWarning"
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings(left_open))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Share one Spark in this process, with a catalog ``local`` of Iceberg tables."""
    # Where there is no pyspark, nobody asks for it.
    from stroke.adapters.spark.session import spark_session  # noqa: PLC0415

    options = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        # A JVM that lives for two minutes on few rows compiles more than it runs.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.sql.catalog.local": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.local.type": "hadoop",
        "spark.sql.catalog.local.warehouse": tmp_path_factory.mktemp("warehouse").as_uri(),
    }
    with spark_session("tests", options, master="local[2]") as session:
        yield session
