"""Tests that need Spark: they run where it is installed, in the image of Spark."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

collect_ignore_glob = [] if find_spec("pyspark") else ["test_*.py"]


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """Share one Spark in this process."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - where there is none, nobody asks for it

    session = (
        SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    )
    yield session
    session.stop()
