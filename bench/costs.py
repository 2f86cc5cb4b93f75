"""What a whole process costs, its start included: for figures of commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from components.figures import read

STROKE = str(Path(sys.executable).with_name("stroke"))


class Cost(NamedTuple):
    """``seconds`` by the clock, seconds of CPU (which noise disturbs less), the most MiB."""

    seconds: float
    cpu: float
    mib: float


def timed(command: list[str]) -> Cost:
    """Run a command to its end. Raises ``SystemExit`` when it fails."""
    started = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return Cost(
        seconds,
        read("CPU time", usage.ru_utime + usage.ru_stime),
        read("memory", usage.ru_maxrss / 1024),
    )
