"""The unit tests on the Python and the packages of the service's image."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from runner.seconds import spending


def test_the_unit_tests_pass_on_the_python_and_packages_that_are_shipped(
    units_in_image: subprocess.Popen[str], figures: Callable[[str], None]
) -> None:
    with spending("waiting"):
        output, _ = units_in_image.communicate()

    assert units_in_image.returncode == 0, output[-4000:]
    figures(f"unit tests inside the image: {output.splitlines()[-1]}")
