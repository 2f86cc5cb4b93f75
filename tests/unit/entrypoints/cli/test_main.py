"""How the command line starts, and what it says when it cannot do what is asked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stroke.entrypoints.cli.terminal.extras import extras_with, what_to_install

WITHOUT = """
import sys
sys.modules[{package!r}] = None  # as if it were not installed
sys.argv = ["stroke", *{arguments!r}]
from stroke.entrypoints.cli.main import main
main()
"""
STARTS = """
import sys
import stroke.entrypoints.cli.main
print(*sorted(sys.modules))
"""
HEAVY = {
    *("alembic", "confluent_kafka", "dependency_injector", "duckdb", "fastapi", "httpx", "numpy"),
    *("onnxruntime", "orjson", "pandas", "prometheus_client", "pyarrow", "pydantic", "pyiceberg"),
    *("rich.console", "sklearn", "sqlalchemy", "uvicorn"),
}


def test_the_command_line_starts_without_what_single_commands_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTS], capture_output=True, text=True, check=True, timeout=60
    )

    imported = set(done.stdout.split())
    assert "stroke.entrypoints.cli.commands.score" in imported
    assert imported & HEAVY == set()


def test_a_command_whose_packages_are_missing_says_which_to_install() -> None:
    code = WITHOUT.format(package="confluent_kafka", arguments=["connectors", "status"])

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 1
    assert done.stderr == (
        "stroke: this command needs the package confluent_kafka, of the extra pipeline: "
        "pip install --require-hashes -r requirements/pipeline.txt\n"
    )


@pytest.mark.parametrize(
    ("module", "extras"),
    [
        ("matplotlib", ["analytics"]),
        ("duckdb", ["analytics"]),
        ("jinja2", []),
        ("mssql_python", ["analytics", "pipeline"]),
        ("pyspark", ["spark"]),
        ("skl2onnx", ["train"]),
        ("jupyterlab", ["notebook"]),
        ("uvicorn", []),
        ("no_such_package", []),
    ],
)
def test_the_extras_of_a_package_are_those_of_the_project(module: str, extras: list[str]) -> None:
    assert extras_with(module) == extras


def test_a_package_is_named_as_it_is_installed() -> None:
    assert "the package scikit-learn, of the extra train" in what_to_install("sklearn")
    assert "of the extra analytics or pipeline: " in what_to_install("httpx", "another")
    assert "install requirements/app.txt again" in what_to_install("uvicorn")
