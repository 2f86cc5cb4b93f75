"""The `stroke` command in a process that need not import everything anew.

Importing costs a command one to five seconds of a core, and the tests run some hundreds of them.
So a server that has imported everything is forked for each: its own process, environment, folder
and files, and the same code from ``main()`` on. What a test wants to know of an interpreter's
start, of signals or of memory it finds out with the real command (``processes.STROKE``).
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

_IMPORTED: Final = (
    "runner.forked",
    "matplotlib.pyplot",
    "onnxruntime",
    "pandas",
    "pyarrow.dataset",
    "skl2onnx",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "stroke.container.analytics",
    "stroke.container.doctor",
    "stroke.container.drift",
    "stroke.container.performance",
    "stroke.container.pipeline",
    "stroke.container.service",
    "stroke.adapters.avro.changes",
    "stroke.adapters.iceberg.changes",
    "stroke.adapters.iceberg.replica",
    "stroke.adapters.training.trainer",
    "stroke.entrypoints.cli.main",
)
_SERVER: Final = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([*_IMPORTED])


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    given: bytes = b"",
    within: float = 300,
) -> subprocess.CompletedProcess[bytes]:
    """Run `stroke` in ``folder``. Raises ``subprocess.TimeoutExpired`` after ``within`` seconds."""
    with TemporaryDirectory() as place:
        streams = [Path(place) / name for name in ("stdin", "stdout", "stderr")]
        streams[0].write_bytes(given)
        process = _SERVER.Process(
            target=_become, args=(list(arguments), folder, dict(environment), streams)
        )
        process.start()
        process.join(within)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["stroke", *arguments], within)
        process.close()
        out, error = (stream.read_bytes() for stream in streams[1:])
        return subprocess.CompletedProcess(["stroke", *arguments], code, out, error)


def _become(
    arguments: list[str], folder: Path, environment: dict[str, str], streams: list[Path]
) -> None:
    for number, path in enumerate(streams):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(path, flags), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["stroke", *arguments]
    # What the tests' own process need not have.
    from stroke.entrypoints.cli.main import main  # noqa: PLC0415

    main()
