"""Durable predictions per second against a bare FastAPI route, side by side.

`stroke serve` (one worker, a real MySQL at its durable defaults in a container on the host's
loopback, without Docker's port proxy) and bench/bare.py take turns under wrk with 32 connections.
Many short rounds alternate, and what counts is the median of the ratios of neighbouring rounds: a
slow moment of the machine meets both. CPU time per request is what noise disturbs least. Afterwards
the rows in MySQL are counted: every acknowledged prediction must be there, and beside them no more
than those in flight when wrk hung up.

    .venv/bin/python bench/service.py [--rounds 15] [--seconds 3] [--connections 32]

Needs wrk (Debian's package) and a Docker engine. Goals: rate >= 0.65, p99 <= 3.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from components.containers import MySqlServer, free_port, mysql_image  # noqa: E402
from components.figures import read  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
_FIELDS = ("rate", "p50", "p99", "cpu_us")


@dataclass(frozen=True)
class Round:
    """What wrk saw of one server in one round, and what the server's process paid for it."""

    requests: int
    rate: float
    p50: float
    p99: float
    failed: int
    cpu_us: float


@dataclass(frozen=True)
class Server:
    name: str
    address: str
    pid: int
    key: str = ""
    patients: str = ""
    """A file of patients, a JSON object a line; "" for those of patients.lua."""

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def drive(self, connections: int, seconds: float) -> Round:
        before = self.cpu_seconds()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s"]
        shown = subprocess.run(
            [*command, "bench/patients.lua", self.address],
            cwd=ROOT,
            env=os.environ
            | {
                name: value
                for name, value in (
                    ("STROKE_BENCH_KEY", self.key),
                    ("STROKE_BENCH_PATIENTS", self.patients),
                )
                if value
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        result = next(line for line in shown.splitlines() if line.startswith("RESULT")).split()
        requests, micros, p50, p99, refused, broken = map(float, result[1:])
        read(f"the requests to {self.name}", requests)
        spent = read(f"the CPU time of {self.name}", self.cpu_seconds() - before)
        return Round(
            int(requests),
            requests / micros * 1e6,
            p50,
            p99,
            int(refused + broken),
            spent / requests * 1e6,
        )


@contextmanager
def running(
    name: str, command: list[str], port: int, ready: str, env: dict[str, str]
) -> Iterator[Server]:
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | env, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_answered(address + ready, process)
        yield Server(name, address, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def wait_until_answered(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own http address
                answer.read()
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{url} does not answer") from None
            time.sleep(0.05)


def stroke_server(
    name: str,
    settings: dict[str, str],
    program: str = "from stroke.entrypoints.cli.main import main; main()",
) -> AbstractContextManager[Server]:
    """Run `stroke serve` with one worker; ``program`` is what the interpreter is given."""
    port = free_port()
    command = [sys.executable, "-c", program, "serve", "--migrate", "--no-banner"]
    command += ["--port", str(port), "--workers", "1"]
    return running(name, command, port, "/health/ready", settings)


@contextmanager
def servers(database: str) -> Iterator[tuple[Server, Server]]:
    port = free_port()
    bare = [sys.executable, "bench/bare.py", str(port)]
    with (
        running("bare", bare, port, "/openapi.json", {}) as first,
        stroke_server("stroke", {"STROKE_DATABASE_URL": database}) as second,
    ):
        yield first, second


def show(server: Server, seen: Round) -> None:
    print(
        f"{server.name:<9}{seen.rate:>8.0f}{seen.p50:>9.2f}{seen.p99:>9.2f}{seen.cpu_us:>12.0f}"
        f"{seen.failed:>9}",
        flush=True,
    )


def warn_when_busy() -> None:
    """Other work on the machine meets MySQL and not the bare route: then the ratio means little."""

    def idle_and_all() -> tuple[int, int]:
        ticks = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)

    before = idle_and_all()
    time.sleep(2)
    idle, total = (now - then for now, then in zip(idle_and_all(), before, strict=True))
    busy = 1 - idle / total
    print(f"machine: {os.cpu_count()} cores, {busy:.0%} busy before the start", end="")
    print("; wait until it is quiet" if busy > 0.1 else "")


def take_turns(
    every: Sequence[Server], *, rounds: int, connections: int, seconds: float
) -> dict[str, list[Round]]:
    """Drive each server in each round, and print what was seen.

    Each second round goes the other way round: what a server leaves to the next one, as pages that
    MySQL has yet to write, meets each of them.
    """
    seen: dict[str, list[Round]] = {server.name: [] for server in every}
    print(f"{'':<9}{'req/s':>8}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/req':>12}{'non-2xx':>9}")
    for number in range(rounds):
        for server in every if number % 2 == 0 else every[::-1]:
            seen[server.name].append(server.drive(connections, seconds))
            show(server, seen[server.name][-1])
    return seen


def ratios(ours: Sequence[Round], theirs: Sequence[Round]) -> list[float]:
    """Return the ratio of each field: of neighbouring rounds, which shared the machine's mood."""
    return [
        median(getattr(a, field) / getattr(b, field) for a, b in zip(ours, theirs, strict=True))
        for field in _FIELDS
    ]


def summarise(rounds: dict[str, list[Round]]) -> None:
    """Print the medians of each server."""
    medians = {
        name: [median(getattr(r, field) for r in seen) for field in _FIELDS]
        for name, seen in rounds.items()
    }
    for name, values in medians.items():
        print(f"{name:<9}" + "{:>8.0f}{:>9.2f}{:>9.2f}{:>12.0f}".format(*values) + "   median")


def all_served(rounds: dict[str, list[Round]]) -> bool:
    """Say who refused requests: an answer without work behind it is fast."""
    refused = {name: sum(one.failed for one in seen) for name, seen in rounds.items()}
    for name, number in refused.items():
        if number:
            print(f"{name}: {number} requests were not served: no ratio follows")
    return not any(refused.values())


@contextmanager
def databases(folder: Path, *, sqlite: bool) -> Iterator[Callable[[str], str]]:
    """Give what makes an empty database and returns its address: files in ``folder``, or MySQL."""
    if sqlite:
        yield lambda name: f"sqlite:///{folder / name}.db"
        return
    mysql = MySqlServer(mysql_image(), on_host_network=True)
    try:
        mysql.launch()
        yield lambda _: mysql.new_database()
    finally:
        mysql.remove()


def options(
    purpose: str,
    *,
    rounds: int = 15,
    starts: int | None = None,
    on_sqlite: bool = False,
    at_random: bool = False,
) -> argparse.Namespace:
    """Return how long to drive, and with how many connections, as the command line says.

    ``starts`` is how often all servers are started, for what starts them more than once;
    ``on_sqlite``: it may also say ``--sqlite``, for what can do without MySQL; ``at_random``: also
    ``--at-random``, for what has other patients than those of patients.lua.
    """
    parser = argparse.ArgumentParser(description=purpose.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    if starts is not None:
        parser.add_argument("--starts", type=int, default=starts)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=32)
    if on_sqlite:
        parser.add_argument("--sqlite", action="store_true")
    if at_random:
        parser.add_argument("--at-random", action="store_true")
    return parser.parse_args()


def main() -> int:
    chosen = options(__doc__)
    warn_when_busy()
    mysql = MySqlServer(mysql_image(), on_host_network=True)
    mysql.launch()
    try:
        database = mysql.new_database()
        with servers(database) as both:
            for server in both:
                server.drive(chosen.connections, 2)  # warm caches and the connection pool
            before = mysql.rows(database, "SELECT COUNT(*) FROM predictions")[0][0]
            rounds = take_turns(
                both,
                rounds=chosen.rounds,
                connections=chosen.connections,
                seconds=chosen.seconds,
            )
        summarise(rounds)
        rate, p50, p99, cpu = ratios(rounds["stroke"], rounds["bare"])
        print(f"ratio    {rate:>8.2f}{p50:>9.2f}{p99:>9.2f}{cpu:>12.2f}   ", end="")
        print("goals: rate >= 0.65, p99 <= 3")
        stored = mysql.rows(database, "SELECT COUNT(*) FROM predictions")[0][0] - before
    finally:
        mysql.remove()
    acknowledged = sum(seen.requests - seen.failed for seen in rounds["stroke"])
    in_flight = chosen.connections * chosen.rounds
    print(f"acknowledged {acknowledged}, stored {stored} (at most {in_flight} more were in flight)")
    return 0 if all_served(rounds) and acknowledged <= stored <= acknowledged + in_flight else 1


if __name__ == "__main__":
    sys.exit(main())
