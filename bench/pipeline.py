"""From MySQL's commit to both sinks: rate, freshness, recovery, memory, start, in one run.

The whole of deploy/compose.yaml is started under a name of its own with the settings it ships
(Iceberg commits every 10 s), PostgreSQL and moto standing in for SQL Server and S3, and removed in
the end. Rows are what the service stored for some hundred made-up patients, inserted again straight
into MySQL: the service itself is measured by bench/service.py. Everything shares the machine,
the clients too. Baseline: what MySQL alone takes of the same statements, into a table of its own
that the source does not capture.

The rate is what the slower copy takes of more than it can: from --rate on, a quarter more is
offered each time, until the lag of a copy grows. The lag of the last rate that was carried is a
figure of its own.

    .venv/bin/python bench/pipeline.py [--rate 1500] [--seconds 60]

Exit code 1 when `stroke pipeline verify` finds a row that is missing, extra, different or twice in
the end, or when a figure could not be read; a missed goal is only said.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from components.change_events import lake_table  # noqa: E402
from components.figures import Arrivals, UnreadError, grows, read, worst  # noqa: E402
from components.load import Load  # noqa: E402
from components.row_streams import (  # noqa: E402
    GROUP,
    PATIENTS,
    SINGLE_RATE,
    Commits,
    Inserts,
    Seen,
    mysql,
    singles,
    sql_sink,
    until,
)
from components.stack import DATABASE, PipelineStack  # noqa: E402

WARM_UP_SECONDS = 40
SHORTEST = 40  # seconds of a stream: the lake shows what it holds every 10 s
MORE = 1.25  # of the rate before it
STEPS = 12
TAKEN = 0.95  # of what is offered: below it, MySQL or the client is the limit
GIB = 2**30


@dataclass(frozen=True)
class Result:
    what: str
    figure: str
    goal: str
    reached: bool

    def show(self) -> None:
        end = "" if self.reached else "   MISSED"
        goal = f"   goal {self.goal}{end}" if self.goal else ""
        print(f"{self.what:<46}{self.figure:>16}{goal}", flush=True)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


# --- the machine ----------------------------------------------------------------------------------


def busy_ticks() -> tuple[int, int]:
    """Return the ticks of all cores that were not idle, and all of them."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


@contextmanager
def load_of(stack: PipelineStack, commits: Commits) -> Iterator[None]:
    """Say who had the cores meanwhile: the stack (by service, for each row), others, nobody."""
    cpu, (busy, total) = stack.cpu_seconds(), busy_ticks()
    own, started = time.process_time(), time.monotonic()
    yield
    now, (busy_now, total_now) = stack.cpu_seconds(), busy_ticks()
    # A container that was started anew counts from 0.
    paid = {name: max(now[name] - cpu.get(name, 0), 0) for name in now}
    cores = (os.cpu_count() or 1) * (time.monotonic() - started)
    shares = sum(paid.values()) / cores, (time.process_time() - own) / cores
    busy_share = (busy_now - busy) / (total_now - total)
    say(
        f"cores: {shares[0]:.0%} the stack, {shares[1]:.0%} this client, "
        f"{max(busy_share - sum(shares), 0):.0%} others, {1 - busy_share:.0%} idle; "
        f"load average {os.getloadavg()[0]:.1f}"
    )
    rows = read("rows of the stream", len(commits.at))
    read("the CPU time of the stack", sum(paid.values()))
    costly = sorted(paid.items(), key=lambda item: -item[1])[:6]
    each = ", ".join(f"{name} {seconds / rows * 1e6:.0f}" for name, seconds in costly)
    say(f"CPU us per row: {each}; all {sum(paid.values()) / rows * 1e6:.0f}")


@dataclass
class Memory:
    """What the stack's containers hold together, looked at again and again."""

    stack: PipelineStack
    peak: dict[str, int] = field(default_factory=dict)

    async def look(self) -> int:
        seen = await asyncio.to_thread(self.stack.memory_bytes)
        if sum(seen.values()) > sum(self.peak.values()):
            self.peak = seen
        return sum(seen.values())

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        async def keep_looking() -> None:
            while True:
                await self.look()
                await asyncio.sleep(2)

        task = asyncio.create_task(keep_looking())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


# --- the figures ----------------------------------------------------------------------------------


def cold_start(stack: PipelineStack) -> Result:
    stack.prepare(STROKE_LAKE_COMMIT_SECONDS="10")
    started = time.monotonic()
    stack.up()
    took = time.monotonic() - started
    return Result("1 cold `up --wait`, images built", f"{took:.0f} s", "<= 180 s", took <= 180)


async def some_rows(stack: PipelineStack) -> None:
    """Let the service store patients, and both sinks see them."""
    load = Load(stack.api_url, key=stack.key)
    async with load.running():
        await load.until(more=PATIENTS)
    if set(load.statuses) != {200}:
        raise SystemExit(f"the service answered {dict(load.statuses)}")


async def own_rate(cursor: Any, inserts: Inserts) -> float:
    """Return the rows per second that MySQL takes while the pipeline has nothing to do."""
    await cursor.execute("CREATE DATABASE bench")
    await cursor.execute(f"CREATE TABLE bench.predictions LIKE {DATABASE}.predictions")
    statements = [inserts.make(GROUP, "bench.predictions") for _ in range(100)]
    commits = Commits()
    started = time.monotonic()
    await commits.stream(cursor, statements, GROUP, 1e9, 5)
    took = time.monotonic() - started
    await cursor.execute("DROP DATABASE bench")
    return len(commits.at) / took


@dataclass(frozen=True)
class Streamed:
    """A stream of rows: what was offered, and what came of it in each copy."""

    rows: int
    offered: float  # rows per second
    taken: float  # by MySQL
    carried: dict[str, float]  # rows per second that arrived in each copy meanwhile
    lags: dict[str, float]  # the longest in each copy, seconds
    behind: list[str]  # the copies whose lag grew
    later: dict[str, float]  # seconds after the last commit until a copy held every row

    @property
    def to_both(self) -> float:
        """No copy carries more than was committed: looks that lie apart may say a little more."""
        return min(self.taken, *self.carried.values())

    @property
    def limited(self) -> bool:
        """Whether MySQL and the client took less than was offered."""
        return self.taken < TAKEN * self.offered

    def show(self, what: str) -> None:
        copies = "; ".join(
            f"{copy} took {self.carried[copy]:,.0f}/s, lag up to {self.lags[copy]:.1f} s"
            f"{', GROWING' if copy in self.behind else ''}, the last row {self.later[copy]:.1f} s "
            "after its commit"
            for copy in self.carried
        )
        say(
            f"{what}: {self.offered:,.0f} rows/s offered, {GROUP} a commit, {self.rows:,} "
            f"committed at {self.taken:,.0f}/s; {copies}"
        )


async def streamed(
    stack: PipelineStack, cursor: Any, inserts: Inserts, rate: float, seconds: float
) -> Streamed:
    """Insert, look at both copies meanwhile, and wait until they hold every row."""
    lake = await asyncio.to_thread(lake_table, stack)

    def archived() -> int:
        snapshot = lake.refresh().current_snapshot()
        return int(snapshot.summary["total-records"] or 0) if snapshot and snapshot.summary else 0

    async with sql_sink(stack) as sink:
        rows_before = await sink.fetchval("SELECT count(*) FROM predictions")
        events_before = await asyncio.to_thread(archived)
        commits = Commits()
        newest: list[tuple[float, int]] = []  # ids: which row they are is known in the end
        in_lake = Arrivals("the lake")
        writing = True

        async def stored() -> bool:
            found = await sink.fetchval("SELECT max(id) FROM predictions")
            newest.append((time.monotonic(), found))
            return not writing and bool(found >= max(commits.at))

        async def seen_in_lake() -> bool:
            held = await asyncio.to_thread(archived) - events_before
            in_lake.look(time.monotonic(), held)
            return not writing and held >= len(commits.at)

        with load_of(stack, commits):
            looking = [
                asyncio.create_task(until(look, every=every, within=900 + seconds, what=what))
                for look, every, what in (
                    (stored, 0.2, "the SQL copy"),
                    (seen_in_lake, 0.5, "the lake"),
                )
            ]
            statements = [inserts.make(GROUP) for _ in range(100)]
            started = time.monotonic()
            await commits.stream(cursor, statements, GROUP, rate, seconds)
            committed, writing = time.monotonic(), False
            in_both = await asyncio.gather(*looking)
        rows = len(commits.at)
        held = await sink.fetchval("SELECT count(*) FROM predictions") - rows_before
    if held != rows:
        raise SystemExit(f"{rows} rows were inserted, the SQL sink holds {held} more")
    numbers = sorted(commits.at)
    in_sql = Arrivals("the SQL copy")
    for moment, number in newest:
        in_sql.look(moment, bisect_right(numbers, number))
    moments = [commits.at[number] for number in numbers]
    lags = {each.copy: each.lags(moments, committed) for each in (in_sql, in_lake)}
    return Streamed(
        rows,
        rate,
        rows / (committed - started),
        {each.copy: each.rate(committed) for each in (in_sql, in_lake)},
        {copy: worst(seen) for copy, seen in lags.items()},
        [copy for copy, seen in lags.items() if grows(seen)],
        {
            each.copy: moment - committed
            for each, moment in zip((in_sql, in_lake), in_both, strict=True)
        },
    )


async def sustained(
    stack: PipelineStack, rate: float, seconds: float, memory: Memory
) -> list[Result]:
    """Offer more each time, until a copy's lag grows: what it takes then is what it carries.

    First in young JVMs, which compile what they run; then in warm ones, which counts.
    """
    held: list[Streamed] = []
    async with mysql(stack) as cursor, memory.watched():
        inserts = await Inserts.of_stored(cursor)
        young = await streamed(stack, cursor, inserts, rate, WARM_UP_SECONDS)
        young.show("JVMs just started")
        alone = await own_rate(cursor, inserts)
        for _ in range(STEPS):
            warm = await streamed(stack, cursor, inserts, rate, seconds)
            warm.show("warm")
            if warm.behind or warm.limited:
                break
            held.append(warm)
            rate *= MORE
        else:
            raise UnreadError(f"the lag did not grow at {rate / MORE:,.0f} rows/s: offer more")
        if not warm.behind:
            say("the lag of neither copy grew: MySQL and this client took no more than that")
            held.append(warm)
        if not held:
            less = await streamed(stack, cursor, inserts, warm.to_both / MORE, seconds)
            less.show("warm, of less")
            held.append(less)
        alone = (alone + await own_rate(cursor, inserts)) / 2
    carried = warm.to_both
    say(
        f"MySQL alone took {alone:,.0f} rows/s of the same statements: "
        f"both copies at {carried / read('what MySQL alone takes', alone):.2f} of that"
    )
    results = [
        Result(
            "2 carried to both copies of more than that"
            if warm.behind
            else "2 carried to both copies: all that MySQL took",
            f"{carried:,.0f} rows/s",
            ">= 2,000",
            carried >= 2000,
        )
    ]
    kept = held[-1]
    results += [
        Result(f"  lag of {copy} at {kept.taken:,.0f} rows/s", f"{lag:.1f} s", "", reached=True)
        for copy, lag in kept.lags.items()
    ]
    return results


async def freshness(stack: PipelineStack, seconds: float) -> list[Result]:
    async with mysql(stack) as cursor, sql_sink(stack) as sink:
        inserts = await Inserts.of_stored(cursor)
        seen = Seen(await sink.fetchval("SELECT max(id) FROM predictions"))
        commits, started = Commits(), time.monotonic()
        with load_of(stack, commits):
            writing = asyncio.create_task(singles(stack, inserts, commits, seconds))
            await seen.follow(
                sink,
                lambda: writing.done() and seen.at.keys() >= commits.at.keys(),
                within=seconds + 120,
            )
            await writing
        resolution = (time.monotonic() - started) / seen.looks
    read("commits of one row", len(commits.at))
    delays = [max(seen.at[number] - moment, 0) for number, moment in commits.at.items()]
    cuts = quantiles(delays, n=100)
    read("the delay of the SQL copy", cuts[49])
    say(
        f"{len(delays):,} commits of one row at {len(delays) / seconds:.0f}/s, worst "
        f"{max(delays):.2f} s; the sink was asked every {resolution * 1e3:.0f} ms"
    )
    return [
        Result(
            "3 commit to visible in the SQL sink, p50", f"{cuts[49]:.2f} s", "<= 1 s", cuts[49] <= 1
        ),
        Result("  ... p99", f"{cuts[98]:.2f} s", "<= 5 s", cuts[98] <= 5),
    ]


async def recovery(stack: PipelineStack) -> Result:
    """Kill Connect in the middle of a stream; the clock starts at the kill."""
    async with mysql(stack) as cursor, sql_sink(stack) as sink:
        inserts = await Inserts.of_stored(cursor)
        seen = Seen(await sink.fetchval("SELECT max(id) FROM predictions"))
        commits = Commits()
        writing = asyncio.create_task(singles(stack, inserts, commits, 3600))
        await asyncio.sleep(5)
        killed = time.monotonic()
        await asyncio.to_thread(stack.kill, "connect")
        down = time.monotonic()
        await asyncio.sleep(0.1)
        await asyncio.to_thread(stack.compose, "start", "connect")
        began = time.monotonic()
        marker = min(number for number, moment in commits.at.items() if moment > down)
        await seen.follow(sink, lambda: marker in seen.at, within=300)
        took = read("the time to recover", seen.at[marker] - killed)
        writing.cancel()
        await asyncio.wait([writing])
    say(
        f"of that {began - killed:.1f} s until `docker compose` had killed and started it, under "
        f"{SINGLE_RATE} commits/s"
    )
    return Result(
        "4 kill -9 of Connect to rows flowing again", f"{took:.0f} s", "<= 60 s", took <= 60
    )


def verified(stack: PipelineStack) -> bool:
    command = ("pipeline", "verify", "--json", "--timeout", "180")
    done = stack.stroke(*command, within=900)
    if not done.stdout:
        print(done.stderr, file=sys.stderr)
        return False
    for copy in json.loads(done.stdout)["replicas"]:
        wrong = ("missing", "extra", "different", "duplicates")
        counts = ", ".join(f"{copy[name]} {name}" for name in wrong)
        print(f"verify {copy['replica']}: {copy['rows']:,} rows compared, {counts}", flush=True)
    return done.returncode == 0


async def measured(stack: PipelineStack, rate: float, seconds: float) -> None:
    memory = Memory(stack)
    await some_rows(stack)
    await asyncio.sleep(15)  # more than a commit of the lake
    at_rest = await memory.look()
    for result in await sustained(stack, rate, seconds, memory):
        result.show()
    for result in await freshness(stack, seconds):
        result.show()
    (await recovery(stack)).show()
    peak = read("the memory of the stack", sum(memory.peak.values()))
    parts = sorted(memory.peak.items(), key=lambda item: -item[1])
    say("at the peak, MiB: " + ", ".join(f"{name} {size >> 20}" for name, size in parts))
    Result(
        f"5 memory: at rest {at_rest / GIB:.2f} GiB, peak during 2",
        f"{peak / GIB:.2f} GiB",
        "<= 4 GiB",
        peak <= 4 * GIB,
    ).show()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=1500, help="rows per second offered first")
    parser.add_argument("--seconds", type=float, default=60, help="how long 2 and 3 insert")
    chosen = parser.parse_args()
    if chosen.seconds < SHORTEST:
        parser.error(f"--seconds: at least {SHORTEST}, or the lake's commits are too few")
    subprocess.run([ROOT / "deploy/images/ensure-docker.sh"], check=True)
    print(f"machine: {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory() as folder:
        stack = PipelineStack(Path(folder))
        try:
            cold_start(stack).show()
            asyncio.run(measured(stack, chosen.rate, chosen.seconds))
            return 0 if verified(stack) else 1
        finally:
            stack.remove()


if __name__ == "__main__":
    sys.exit(main())
