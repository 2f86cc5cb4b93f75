"""Programs of Debian that tests run as clients and proxies of the service."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache


@cache
def program(name: str, package: str) -> str:
    """Return the path of ``name``. Installs Debian's ``package`` where the machine lacks it."""
    path = os.environ["PATH"] + ":/usr/sbin"
    if (found := shutil.which(name, path=path)) is None:
        for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run(
                # Another worker, or another user of the machine, may be installing something.
                ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *command],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdout=subprocess.DEVNULL,
                check=True,
            )
        found = shutil.which(name, path=path)
    assert found is not None, f"{package} has no {name}"
    return found
