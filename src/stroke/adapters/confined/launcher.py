"""Sets limits on itself and becomes another program: a script that imports nothing of stroke.

    python launcher.py MEMORY_BYTES CPU_SECONDS FILE_BYTES PROGRAM [ARGUMENT...]

It exits with 127 when the program cannot be run.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys


def main() -> None:
    """Run as the module's docstring says."""
    memory, cpu, file = map(int, sys.argv[1:4])
    for kind, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, file),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)  # noqa: PLW2901 - no one may raise a hard limit
        # macOS knows RLIMIT_AS and refuses to set it; the other limits hold there.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))
    try:
        os.execv(sys.argv[4], sys.argv[4:])  # noqa: S606 - the caller names the program
    except OSError:
        sys.exit(127)


if __name__ == "__main__":
    main()
