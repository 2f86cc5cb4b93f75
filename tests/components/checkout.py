"""A fresh copy of what is in version control, as somebody who just cloned it has it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.containers import ROOT
from components.processes import environment, wait_for


def copy_checkout(folder: Path) -> Path:
    """Copy every file that git tracks, as it is in the working tree, into ``folder``."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        source = ROOT / name
        if source.is_file():  # not one that is deleted, but not yet committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder


@contextmanager
def running(
    command: list[str], folder: Path, url: str, *, within: float = 300, **settings: str
) -> Iterator[tuple[subprocess.Popen[str], float]]:
    """Start ``command``; yield it, and the seconds until ``url`` answered; kill it at the end."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process, wait_for(url, within=within, alive=process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
