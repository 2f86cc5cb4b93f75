"""The change-data pipeline: how much it carries, how soon, how it recovers, what it needs.

Starts the whole platform of deploy/compose.yaml on ports of its own, with the stand-ins for S3 and
SQL Server, and prints in one run:

1. a cold `docker compose up --wait`, images built;
2. how fast rows go from MySQL's commit to both copies, while a backlog of them waits, against the
   rate at which MySQL takes them (in groups, as the service does);
3. how long a row takes from its commit to the SQL copy, at a steady rate of single commits;
4. how long after kill -9 of Kafka Connect a row that was committed meanwhile is in the SQL copy;
5. the memory of all containers, at rest and at its highest during 2.

Afterwards `stroke pipeline verify` compares every row with both copies: a difference makes the exit
code 1.

    .venv/bin/python bench/pipeline.py [--rows 200000] [--rate 200] [--seconds 60]

Needs a Docker engine, and takes about six minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "src"))

import asyncmy  # noqa: E402
import asyncpg  # noqa: E402
import httpx  # noqa: E402

from builders import patient_json  # noqa: E402
from integration.change_events import lake_table  # noqa: E402
from integration.stack import DATABASE, PipelineStack  # noqa: E402

SEEDS = 1_000
COMMIT = 250  # rows that share a commit, as in the service under load
GIB = 2**30


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--rows", type=int, default=200_000, help="of the backlog")
    options.add_argument("--rate", type=int, default=200, help="single commits per second")
    options.add_argument("--seconds", type=int, default=60, help="of single commits")
    given = options.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
    with tempfile.TemporaryDirectory() as folder:
        stack = PipelineStack(Path(folder))
        stack.prepare(STROKE_LAKE_COMMIT_SECONDS="10")  # compose's default; builds the images
        try:
            measure(stack, given)
        finally:
            stack.remove()


def measure(stack: PipelineStack, given: argparse.Namespace) -> None:
    began = time.monotonic()
    stack.up()
    tell("cold up --wait, images built", time.monotonic() - began, 180, "s")
    seed(stack)
    rest = sum(stack.memory_bytes().values()) / GIB
    with peak_memory(stack) as peak:
        throughput(stack, given.rows)
    asyncio.run(freshness(stack, given.rate, given.seconds))
    recovery(stack)
    tell("memory of all containers at rest", rest, 4, "GiB")
    tell("... at its highest under the backlog", max(peak) / GIB, 4, "GiB")
    prove(stack)


def tell(what: str, figure: float, goal: float, unit: str, *, at_least: bool = False) -> None:
    met = figure >= goal if at_least else figure <= goal
    sign = ">=" if at_least else "<="
    shown = f"{figure:,.0f}" if figure >= 100 else f"{figure:.2f}"
    print(f"{what}: {shown} {unit} (goal {sign} {goal:,g}{'' if met else ', MISSED'})", flush=True)


def seed(stack: PipelineStack) -> None:
    """Let the service predict for some patients, whose rows are then stored over and over."""
    patients = [patient_json(age=20.0 + n % 60, name=f"Seed {n}") for n in range(SEEDS)]
    answer = httpx.post(
        f"{stack.api_url}/api/v1/predictions:batch", json={"patients": patients}, timeout=60
    )
    answer.raise_for_status()
    last = max(made["prediction_id"] for made in answer.json()["predictions"])
    wait(lambda: in_sink(stack) >= last, "the seeds")


def throughput(stack: PipelineStack, rows: int) -> None:
    began = time.monotonic()
    asyncio.run(backlog(stack, rows))
    committed = time.monotonic() - began
    [(last,)] = stack.mysql("SELECT MAX(id) FROM predictions")
    events = SEEDS + rows
    sql = lake = 0.0
    while not (sql and lake):
        sql = sql or (time.monotonic() - began if in_sink(stack) >= last else 0)
        lake = lake or (time.monotonic() - began if in_lake(stack) >= events else 0)
        time.sleep(0.5)
    base = rows / committed
    print(f"MySQL committed {rows:,} rows at {base:,.0f} rows/s, {COMMIT} at a time, meanwhile")
    for name, took in (("the SQL copy", sql), ("the Iceberg table", lake)):
        print(f"  in {name} after {took:.1f} s: {rows / took:,.0f} rows/s")
    rate = rows / max(sql, lake)
    print(f"  ratio to MySQL's own rate: {rate / base:.2f}")
    tell(
        "from the first commit to the last row in both copies", rate, 2000, "rows/s", at_least=True
    )


async def backlog(stack: PipelineStack, rows: int) -> None:
    columns = stored_columns(stack)
    mysql = await asyncmy.connect(**mysql_address(stack), autocommit=True)
    async with mysql.cursor() as cursor:
        for start in range(0, rows, COMMIT):
            first = start % SEEDS
            await cursor.execute(f"{copy_of(columns)} id > {first} AND id <= {first + COMMIT}")
    mysql.close()


async def freshness(stack: PipelineStack, rate: int, seconds: int) -> None:
    """Commit rows one by one; look for the last one in the SQL copy as often as it answers."""
    columns = stored_columns(stack)
    mysql = await asyncmy.connect(**mysql_address(stack), autocommit=True)
    sink = await asyncpg.connect(**sink_address(stack))
    committed: dict[int, float] = {}
    visible: dict[int, float] = {}
    ended = False

    async def commit() -> None:
        nonlocal ended
        began = time.monotonic()
        async with mysql.cursor() as cursor:
            for number in range(rate * seconds):
                await asyncio.sleep(began + number / rate - time.monotonic())
                await cursor.execute(f"{copy_of(columns)} id = {number % SEEDS + 1}")
                committed[cursor.lastrowid] = time.monotonic()
        ended = True

    async def look() -> None:
        looks: list[float] = []
        deadline = time.monotonic() + seconds + 120
        while not ended or len(visible) < len(committed):
            began = time.monotonic()
            highest = await sink.fetchval("SELECT MAX(id) FROM predictions")
            seen = time.monotonic()
            looks.append(seen - began)
            for number in [n for n in committed if n <= highest and n not in visible]:
                visible[number] = seen
            if seen > deadline:
                raise SystemExit("rows did not reach the SQL copy")
            await asyncio.sleep(0.005)
        print(f"a look at the SQL copy took {statistics.median(looks) * 1000:.1f} ms (median)")

    await asyncio.gather(commit(), look())
    ages = sorted(visible[number] - committed[number] for number in committed)
    actual = len(ages) / (max(committed.values()) - min(committed.values()))
    print(
        f"{len(ages):,} single commits at {actual:,.0f} rows/s, commit to visible in the SQL copy:"
    )
    tell("  p50", ages[len(ages) // 2], 1, "s")
    tell("  p99", ages[int(len(ages) * 0.99)], 5, "s")
    mysql.close()
    await sink.close()


def recovery(stack: PipelineStack) -> None:
    columns = stored_columns(stack)
    stack.kill("connect")
    killed = time.monotonic()
    insert(stack, columns, f"id <= {COMMIT}")
    [(last,)] = stack.mysql("SELECT MAX(id) FROM predictions")
    stack.start("connect", wait=False)
    wait(lambda: in_sink(stack) >= last, "the rows of the outage")
    tell(
        "kill -9 of Connect to the outage's rows in the SQL copy",
        time.monotonic() - killed,
        60,
        "s",
    )


def prove(stack: PipelineStack) -> None:
    began = time.monotonic()
    done = stack.stroke("pipeline", "verify", "--json", "--timeout", "180", within=1200)
    if not done.stdout:
        raise SystemExit(done.stderr)
    for copy in json.loads(done.stdout)["replicas"]:
        wrong = {what: copy[what] for what in ("missing", "extra", "different", "duplicates")}
        print(f"verify, {copy['replica']}: {copy['rows']:,} rows compared, {wrong}")
    print(f"verify took {time.monotonic() - began:.0f} s")
    if done.returncode != 0:
        raise SystemExit(1)


@contextmanager
def peak_memory(stack: PipelineStack) -> Iterator[list[int]]:
    """Gather the memory of all containers, again and again, while the block runs."""
    sums = [0]
    ended = threading.Event()

    def gather() -> None:
        while not ended.wait(1):
            sums.append(sum(stack.memory_bytes().values()))

    thread = threading.Thread(target=gather)
    thread.start()
    try:
        yield sums
    finally:
        ended.set()
        thread.join()


def stored_columns(stack: PipelineStack) -> str:
    """Return the columns of a row but its id and its key, each of which is unique."""
    [(names,)] = stack.mysql(
        "SELECT GROUP_CONCAT(COLUMN_NAME) FROM information_schema.COLUMNS "
        "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'predictions' "
        "AND COLUMN_NAME NOT IN ('id', 'idempotency_key')",
        DATABASE,
    )
    return ", ".join(f"`{name}`" for name in str(names).split(","))


def copy_of(columns: str) -> str:
    return f"INSERT INTO predictions ({columns}) SELECT {columns} FROM predictions WHERE"  # noqa: S608


def insert(stack: PipelineStack, columns: str, seeds: str) -> None:
    stack.mysql(f"{copy_of(columns)} {seeds}")


def in_sink(stack: PipelineStack) -> int:
    [(highest,)] = stack.sink("SELECT COALESCE(MAX(id), 0) FROM predictions")
    return int(highest)


def in_lake(stack: PipelineStack) -> int:
    snapshot = lake_table(stack).current_snapshot()
    summary: Any = snapshot.summary if snapshot else None
    return int(summary["total-records"]) if summary else 0


def mysql_address(stack: PipelineStack) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": stack.ports["mysql"],
        "user": "root",
        "password": stack.passwords["MYSQL_ROOT_PASSWORD"],
        "db": DATABASE,
    }


def sink_address(stack: PipelineStack) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": stack.ports["sink"],
        "user": "stroke",
        "password": stack.passwords["STROKE_SINK_PASSWORD"],
        "database": DATABASE,
    }


def wait(arrived: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 300
    while not arrived():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not arrive within 300 s")
        time.sleep(0.25)


if __name__ == "__main__":
    main()
