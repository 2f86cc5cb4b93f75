# ruff: noqa: INP001 -- a script of its own, which hosts without a .venv run
"""The secrets of deploy/compose.yaml as files, from what `docker compose config` prints.

    docker compose config --format json | python3 deploy/secret_files.py write

``write`` writes each value that changed; ``services`` prints which services must be restarted to
see what changed; ``taken-up`` forgets the changes. deploy/secrets.sh runs all three.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

# Every container may run as another account, so each file can be read by all, and the folder that
# holds them can be entered by its owner alone.
_FOLDER_MODE = 0o700
_FILE_MODE = 0o444
_CHANGED = ".changed"
# MySQL reads its files when it makes its data directory, and never again.
_READ_ONCE = {"mysql"}
# What a service reads each time it needs it.
_READ_ANEW = {
    # The URL counts when the schema is upgraded, which is at the start.
    "api": {"MYSQL_PASSWORD", "STROKE_DATABASE_MIGRATION_URL"},
    "prometheus": {"STROKE_METRICS_KEY"},
    # Of the doctor, which runs in them.
    **{name: {"STROKE_DOCTOR_API_KEY"} for name in ("connectors", "verify", "jupyter")},
}


def main(command: str, platform: dict[str, Any]) -> None:
    files = {name: Path(one["file"]) for name, one in platform["secrets"].items()}
    note = next(iter(files.values())).parent / _CHANGED
    if command == "write":
        changed = [
            name
            for name, value in sorted(platform["x-secrets"].items())
            # Compose leaves out what no service mounts.
            if name in files and _write(files[name], _unescaped(value or ""))
        ]
        if changed:
            # Kept until the services have taken it up: whoever restarts them may be another run.
            with note.open("a") as file:
                file.write("".join(f"{name}\n" for name in changed))
    elif command == "services":
        known = set(note.read_text().split()) if note.exists() else set()
        sys.stdout.write("".join(f"{name}\n" for name in _to_restart(platform, known)))
    else:
        note.unlink(missing_ok=True)


def _unescaped(text: str) -> bytes:
    return text.replace("$$", "$").encode()  # compose doubles each $ that it prints


def _write(path: Path, content: bytes) -> bool:
    """Write the file where it differs; return whether it held another value before."""
    folder = path.parent
    if not folder.exists():
        folder.mkdir(parents=True, mode=_FOLDER_MODE)
        _own(folder, like=folder.parent)
    if path.is_dir():
        path.rmdir()  # the engine made it for a mount without a source
    before = path.read_bytes() if path.exists() else None
    if before == content:
        return False
    if before is not None and not os.access(path, os.W_OK):
        path.chmod(0o644)
    # A running container has this very file mounted. So it is written in place, in one call: a
    # reader never sees a part of it while the length stays the same.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
        os.fchmod(descriptor, _FILE_MODE)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _own(path, like=folder)
    return before is not None


def _own(path: Path, *, like: Path) -> None:
    """Give what root made to the account that owns the place, so that it can write there later."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _to_restart(platform: dict[str, Any], changed: set[str]) -> list[str]:
    found = []
    for name, service in sorted(platform["services"].items()):
        mounted = {each["source"] for each in service.get("secrets") or []}
        if name not in _READ_ONCE and mounted & changed - _READ_ANEW.get(name, set()):
            found.append(name)
    return found


if __name__ == "__main__":
    main(sys.argv[1], json.load(sys.stdin))
