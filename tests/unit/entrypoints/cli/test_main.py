"""What the command line says when it cannot do what is asked."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import sys
sys.modules[{package!r}] = None  # as if it were not installed
sys.argv = ["stroke", *{arguments!r}]
from stroke.entrypoints.cli.main import main
main()
"""


def test_a_command_whose_packages_are_missing_says_which_to_install() -> None:
    code = WITHOUT.format(package="confluent_kafka", arguments=["connectors", "status"])

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 1
    assert done.stderr == (
        "stroke: this command needs the package confluent_kafka: install "
        "requirements/pipeline.txt (connectors, pipeline, lake), requirements/analytics.txt "
        "(analytics), requirements/spark.txt (--engine spark) or requirements/train.txt (model)\n"
    )
