"""How long a thread ran, and how long it waited for a processor."""

from __future__ import annotations

import time
from pathlib import Path

from stroke.application.models.shadows import Spent


def spent_by(thread: int) -> Spent:
    """Return what the thread of this process with this native id has spent so far.

    Where the scheduler does not say it (another system, or a kernel without ``schedstat``), the
    processors' time of the whole process stands for it, and no waiting is known.
    """
    try:
        stat = Path(f"/proc/self/task/{thread}/schedstat").read_text(encoding="ascii")
        ran, waited, _ = map(int, stat.split())
    except (OSError, ValueError):
        return Spent(time.process_time(), 0.0)
    return Spent(ran / 1e9, waited / 1e9)
