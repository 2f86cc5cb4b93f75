"""What a container's processes have used: CPU time and memory, as the kernel counts them.

The kernel's own files come first: an engine that cannot read one of them (Debian 12's, where a
controller is not mounted) answers with zeros for all. The engine's answer counts where the files
are out of reach, as for a client that runs in a container itself. Zero is no answer from either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.figures import UnreadError, read

_CPU, _MEMORY = "cpuacct", "memory"


@dataclass(frozen=True)
class Usage:
    """CPU time since the container was started, and memory without what can be taken back."""

    cpu_seconds: float
    memory_bytes: int


def of_container(engine: Any, container: str) -> Usage:
    """Return what a running container has used; ``engine`` is docker's API client.

    Raises:
        UnreadError: neither the kernel nor the engine says; the text has both reasons.
    """
    found = engine.inspect_container(container)
    try:
        return of_control_groups(found["State"]["Pid"], found["Id"])
    except UnreadError as kernel:
        try:
            return of_engine(engine.stats(container, stream=False, one_shot=True))
        except UnreadError as unread:
            name = found["Name"].lstrip("/")
            raise UnreadError(f"{name}: {kernel}; the engine: {unread}") from None


def of_engine(stats: Mapping[str, Any]) -> Usage:
    """Return what the engine's answer to ``/containers/ID/stats`` says.

    Raises:
        UnreadError: a figure is absent or 0.
    """
    cpu = stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage")
    memory = stats.get("memory_stats", {})
    details = memory.get("stats") or {}
    idle = details.get("total_inactive_file", details.get("inactive_file", 0))
    used = memory.get("usage")
    return Usage(
        read("CPU time", cpu) / 1e9,
        int(read("memory", used if used is None else used - idle)),
    )


def of_control_groups(process: int, container: str, root: Path = Path("/")) -> Usage:
    """Return what the control groups of a container's first process say, version 1 or 2.

    ``root`` is where ``proc`` and ``sys`` are. Where version 2 does not count memory, because the
    engine was not given its controller, the processes' own shares (Pss) are added up.

    Raises:
        UnreadError: the process is not the container's, or a figure is absent or 0.
    """
    proc = root / "proc"
    try:
        groups = _groups((proc / str(process) / "cgroup").read_text(), container)
        mounts = _mounts((proc / "self" / "mountinfo").read_text())
    except OSError as error:
        raise UnreadError(f"the control groups of process {process}: {error.strerror}") from None
    folders = {
        kind: root / str(mounts[kind][1]).lstrip("/") / _below(mounts[kind][0], path)
        for kind, path in groups.items()
        if kind in mounts
    }
    return Usage(read("CPU time", _cpu(folders)), int(read("memory", _memory(folders, proc))))


def _groups(text: str, container: str) -> dict[str, str]:
    """Return the path of each controller, "" for version 2."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        # One that is not the container's own counts the whole machine.
        if container in path:
            groups |= dict.fromkeys(controllers.split(","), path)
    if not groups:
        raise UnreadError("no control group of the container's own is seen here")
    return groups


def _mounts(text: str) -> dict[str, tuple[str, str]]:
    """Return what part of each hierarchy is mounted, and where."""
    mounts: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        part, place = before.split(" ")[3:5]
        if kind == "cgroup2":
            mounts.setdefault("", (part, place))
        elif kind == "cgroup":
            for option in options.split(","):
                mounts.setdefault(option, (part, place))
    return mounts


def _below(part: str, path: str) -> str:
    return path.removeprefix(part if part != "/" else "").lstrip("/")


def _cpu(folders: Mapping[str, Path]) -> float | None:
    if _CPU in folders:
        nanoseconds = _number(folders[_CPU] / "cpuacct.usage")
        return None if nanoseconds is None else nanoseconds / 1e9
    if "" in folders:
        microseconds = _table(folders[""] / "cpu.stat").get("usage_usec")
        return None if microseconds is None else microseconds / 1e6
    return None


def _memory(folders: Mapping[str, Path], proc: Path) -> int | None:
    if _MEMORY in folders:
        used = _number(folders[_MEMORY] / "memory.usage_in_bytes")
        idle = _table(folders[_MEMORY] / "memory.stat").get("total_inactive_file", 0)
        return None if used is None else used - idle
    if "" not in folders:
        return None
    used = _number(folders[""] / "memory.current")
    if used is None:
        return _shares(folders[""], proc)
    return used - _table(folders[""] / "memory.stat").get("inactive_file", 0)


def _shares(group: Path, proc: Path) -> int:
    total = 0
    for listed in group.rglob("cgroup.procs"):
        for process in listed.read_text().split():
            total += _table(proc / process / "smaps_rollup").get("Pss:", 0) * 1024
    return total


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except OSError:
        return None


def _table(file: Path) -> dict[str, int]:
    """Return the numbers of a file of names and numbers; none where it cannot be read."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:  # a process that has just ended, too
        return {}
    return {each[0]: int(each[1]) for each in lines if len(each) > 1 and each[1].isdigit()}
