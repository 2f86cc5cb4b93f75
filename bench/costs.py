"""What a whole process costs, its start included: for figures of commands."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from components.figures import read
from components.processes import Cost, cost_of

STROKE = str(Path(sys.executable).with_name("stroke"))


def timed(command: list[str]) -> Cost:
    """Run a command to its end, and let its output go. Raises ``SystemExit`` when it fails."""
    cost = cost_of(command, keep_stdout=False)
    if cost.exit_code:
        raise SystemExit(f"{command[0]} ended with {cost.exit_code}")
    read("CPU time", cost.cpu)
    read("memory", cost.mib)
    return cost
