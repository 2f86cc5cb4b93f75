"""The runtime of models reports to nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "module", ["stroke.adapters.onnx.graph", "stroke.adapters.training.verification"]
)
def test_the_runtime_leaves_no_identifier_of_the_machine(tmp_path: Path, module: str) -> None:
    bare = {"HOME": str(tmp_path)}  # without CI, which would quieten the runtime, too

    subprocess.run([sys.executable, "-c", f"import {module}"], env=bare, check=True, timeout=60)

    assert list(tmp_path.iterdir()) == []
