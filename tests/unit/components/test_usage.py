"""What containers have used, read from control groups as the engines of Debian 12 and 13 lay them.

The first tree, and the engine's zeros beside it, were captured on a host with Debian 12's engine;
the others are what systemd, and Debian 13's engine, lay. Lines that nobody reads are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.figures import UnreadError
from components.usage import Usage, of_container, of_control_groups, of_engine

ID = "e92f885b492cb19f229e459bf6a98e0d62b351d10e924344321e5232ac842403"
PROCESS = 4711

# Debian 12's engine (20.10) under cgroupfs, version 1 beside a version 2 that has no controllers.
VERSION_1 = {
    "proc/4711/cgroup": f"""\
13:hugetlb:/
9:name=systemd:/docker/{ID}
4:memory:/docker/{ID}
2:cpuacct:/docker/{ID}
1:cpu:/docker/{ID}
0::/docker/{ID}
""",
    "proc/self/mountinfo": """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
""",
    f"sys/fs/cgroup/cpuacct/docker/{ID}/cpuacct.usage": "18499309\n",
    f"sys/fs/cgroup/memory/docker/{ID}/memory.usage_in_bytes": "1122304\n",
    f"sys/fs/cgroup/memory/docker/{ID}/memory.stat": """\
cache 319488
rss 106496
inactive_file 7
total_cache 319488
total_inactive_file 122304
""",
    f"sys/fs/cgroup/unified/docker/{ID}/cpu.stat": "usage_usec 18499\n",
}

# systemd's version 1 mounts two controllers as one.
TWO_AS_ONE = {
    "proc/4711/cgroup": f"""\
5:memory:/system.slice/docker-{ID}.scope
4:cpu,cpuacct:/system.slice/docker-{ID}.scope
""",
    "proc/self/mountinfo": """\
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
""",
    f"sys/fs/cgroup/cpu,cpuacct/system.slice/docker-{ID}.scope/cpuacct.usage": "18499309\n",
    f"sys/fs/cgroup/memory/system.slice/docker-{ID}.scope/memory.usage_in_bytes": "1000000\n",
}

# Debian 13's engine (26.1) under systemd.
GROUP = f"sys/fs/cgroup/system.slice/docker-{ID}.scope"
VERSION_2 = {
    "proc/4711/cgroup": f"0::/system.slice/docker-{ID}.scope\n",
    "proc/self/mountinfo": """\
25 22 0:6 / /sys/kernel/security rw,nosuid shared:8 - securityfs securityfs rw
29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
""",
    f"{GROUP}/cpu.stat": "usage_usec 18499\nuser_usec 9249\nsystem_usec 9249\nnr_periods 0\n",
    f"{GROUP}/memory.current": "1122304\n",
    f"{GROUP}/memory.stat": "anon 106496\nfile 319488\ninactive_file 122304\nactive_file 0\n",
    f"{GROUP}/cgroup.procs": "4711\n4712\n",
}

# An engine in a container of which the host keeps the controllers: it counts CPU time alone.
WITHOUT_CONTROLLERS = {
    **{name: text for name, text in VERSION_2.items() if "memory" not in name},
    "proc/4711/smaps_rollup": "7fff ---p 00:00 0 [rollup]\nRss: 1696 kB\nPss: 600 kB\n",
    "proc/4712/smaps_rollup": "7fff ---p 00:00 0 [rollup]\nRss: 1696 kB\nPss: 400 kB\n",
}

# What Debian 12's engine answers when it cannot read one of the files, with status 200.
ZEROS = {
    "read": "0001-01-01T00:00:00Z",
    "cpu_stats": {"cpu_usage": {"total_usage": 0}, "throttling_data": {"periods": 0}},
    "memory_stats": {},
}


def laid(root: Path, tree: Mapping[str, str]) -> Path:
    for name, text in tree.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("tree", "cpu", "memory"),
    [
        pytest.param(VERSION_1, 0.018499309, 1_000_000, id="version 1"),
        pytest.param(TWO_AS_ONE, 0.018499309, 1_000_000, id="version 1, two controllers as one"),
        pytest.param(VERSION_2, 0.018499, 1_000_000, id="version 2"),
        pytest.param(WITHOUT_CONTROLLERS, 0.018499, 1_024_000, id="version 2, no controllers"),
    ],
)
def test_each_version_of_control_groups_is_read(
    tmp_path: Path, tree: Mapping[str, str], cpu: float, memory: int
) -> None:
    found = of_control_groups(PROCESS, ID, laid(tmp_path, tree))

    assert found.cpu_seconds == pytest.approx(cpu)
    assert found.memory_bytes == memory


@pytest.mark.parametrize(
    "tree",
    [VERSION_1, TWO_AS_ONE, VERSION_2, WITHOUT_CONTROLLERS],
    ids=["1", "1, two as one", "2", "2, none"],
)
def test_each_file_without_which_a_figure_is_unknown_is_missed(
    tmp_path: Path, tree: Mapping[str, str]
) -> None:
    """A file that only takes something off may be absent: then the figure is higher."""
    spare = ("memory.stat", "unified", "smaps_rollup", "cgroup.procs")
    needed = [name for name in tree if not any(part in name for part in spare)]
    assert len(needed) >= 3
    for number, name in enumerate(needed):
        left = {other: text for other, text in tree.items() if other != name}
        if "memory.current" in name:  # or the processes are added up
            left = {other: text for other, text in left.items() if "procs" not in other}
        with pytest.raises(UnreadError):
            of_control_groups(PROCESS, ID, laid(tmp_path / str(number), left))


def test_a_counter_that_stands_at_zero_is_no_figure(tmp_path: Path) -> None:
    for number, name in enumerate(("cpuacct.usage", "memory.usage_in_bytes")):
        tree = {other: "0\n" if name in other else text for other, text in VERSION_1.items()}
        with pytest.raises(UnreadError, match=r"could not be read: (0|-122304)"):
            of_control_groups(PROCESS, ID, laid(tmp_path / str(number), tree))


def test_another_process_under_the_same_number_is_not_taken_for_the_container(
    tmp_path: Path,
) -> None:
    root = laid(tmp_path, VERSION_2 | {"proc/4711/cgroup": "0::/user.slice/session-1.scope\n"})

    with pytest.raises(UnreadError, match="no control group of the container's own"):
        of_control_groups(PROCESS, ID, root)


def test_a_hierarchy_of_which_a_part_is_mounted_is_read_below_it(tmp_path: Path) -> None:
    """As in a container whose engine runs in the same container."""
    mounted = "29 23 0:26 /host/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    path = f"0::/host/abc/system.slice/docker-{ID}.scope\n"
    root = laid(tmp_path, VERSION_2 | {"proc/self/mountinfo": mounted, "proc/4711/cgroup": path})

    assert of_control_groups(PROCESS, ID, root).memory_bytes == 1_000_000


@pytest.mark.parametrize("idle", ["total_inactive_file", "inactive_file"])
def test_an_engine_tells_of_both_versions(idle: str) -> None:
    statistics = {
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
        "memory_stats": {"usage": 3_000_000, "stats": {idle: 1_000_000}},
    }

    assert of_engine(statistics) == Usage(2.5, 2_000_000)


@pytest.mark.parametrize(
    "statistics",
    [
        ZEROS,
        {},
        {"cpu_stats": {"cpu_usage": {"total_usage": 1}}, "memory_stats": {"usage": 0}},
        {"cpu_stats": {"cpu_usage": {"total_usage": 1}}, "memory_stats": {"stats": {}}},
    ],
)
def test_zeros_of_an_engine_are_no_answer(statistics: Mapping[str, Any]) -> None:
    with pytest.raises(UnreadError, match=r"(CPU time|memory) could not be read"):
        of_engine(statistics)


class Engine:
    """Answers as docker's API client does."""

    def __init__(self, statistics: Mapping[str, Any]) -> None:
        self._statistics = statistics

    def inspect_container(self, name: str) -> dict[str, Any]:
        # No process has this number: the kernel's limit is lower.
        return {"Id": ID, "Name": f"/{name}", "State": {"Pid": 2**30}}

    def stats(self, name: str, *, stream: bool, one_shot: bool) -> Mapping[str, Any]:
        assert (name, stream, one_shot) == ("kafka", False, True)
        return self._statistics


def test_an_engine_is_asked_where_the_kernels_files_are_out_of_reach() -> None:
    statistics = {
        "cpu_stats": {"cpu_usage": {"total_usage": 1_000_000_000}},
        "memory_stats": {"usage": 5},
    }

    assert of_container(Engine(statistics), "kafka") == Usage(1.0, 5)


def test_a_container_of_which_nobody_tells_is_named_with_both_reasons() -> None:
    with pytest.raises(UnreadError, match=r"kafka: .*No such file.*; the engine: CPU time"):
        of_container(Engine(ZEROS), "kafka")
