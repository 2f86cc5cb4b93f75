"""Parts of the platform die in the middle of a load; afterwards every copy equals MySQL."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from secrets import token_hex
from typing import Any

import httpx
import pytest

from components.change_events import until
from components.load import MARK, Load, agreement
from components.stack import PipelineStack

ACKNOWLEDGED = 5_000
BEFORE = 1_500  # acknowledged before the fault; as many come while it lasts, the others after it
PAUSE = 0.1  # of a client: they make some 250 predictions a second
WAITING = 1.0  # while a part ends or comes back: what is compared then need not grow with that

pytestmark = pytest.mark.anyio


async def loaded(
    stack: PipelineStack,
    fault: Callable[[], None],
    recover: Callable[[], None],
    *,
    while_it_lasts: int = BEFORE,
) -> tuple[Load, float]:
    """Run a load around a fault; return it, and when (monotonic) the recovery began."""
    # A tag of its own: a stack may be kept between runs.
    load = Load(stack.api_url, tag=token_hex(4), pause=PAUSE, key=stack.key)
    async with load.running():
        await load.until(more=BEFORE)
        load.pause = WAITING
        await asyncio.to_thread(fault)
        load.pause = PAUSE
        await load.until(more=while_it_lasts)
        recovery = time.monotonic()
        load.pause = WAITING
        await asyncio.to_thread(recover)
        load.pause = PAUSE
        await load.until(more=ACKNOWLEDGED - BEFORE - while_it_lasts)
    return load, recovery


async def proven(
    stack: PipelineStack, load: Load, since: float, figures: Callable[[str], None], what: str
) -> None:
    """Nothing acknowledged is lost in MySQL, and ``verify`` finds both copies equal."""
    columns = "id, name, probability, age, avg_glucose_level, bmi"
    rows = stack.mysql(
        f"SELECT {columns} FROM predictions WHERE name LIKE %s",  # noqa: S608
        f"{MARK} {load.tag}%",
    )
    stored = agreement(load, rows)
    assert stored.acknowledged >= ACKNOWLEDGED
    assert (stored.lost, stored.changed) == ([], []), str(stored)

    done = await asyncio.to_thread(
        stack.stroke, "pipeline", "verify", "--json", "--timeout", "300", within=500
    )
    took = time.monotonic() - since
    assert done.stdout, done.stderr
    verified = json.loads(done.stdout)
    for copy in verified["replicas"]:
        counts = {name: copy[name] for name in ("missing", "extra", "different", "duplicates")}
        assert counts == dict.fromkeys(counts, 0), f"{copy['replica']}: {counts}"
        figures(
            f"{what}: {stored}; {copy['replica']}: {copy['rows']:,} rows compared, 0 missing, "
            f"0 extra, 0 different, 0 duplicates, {took:.0f} s after the recovery began"
        )
    assert done.returncode == 0
    assert len(verified["replicas"]) == 2


def in_the_soak(service: str) -> Any:
    return pytest.param(service, marks=pytest.mark.soak("the same drill, at another part"))


@pytest.mark.parametrize(
    "service", ["connect", *(in_the_soak(part) for part in ("kafka", "sql-sink", "s3"))]
)
async def test_a_part_that_is_killed_and_started_again_costs_nothing(
    pipeline: PipelineStack, service: str, figures: Callable[[str], None]
) -> None:
    load, since = await loaded(
        pipeline,
        lambda: pipeline.kill(service),
        lambda: pipeline.start(service),
    )

    assert set(load.statuses) == {200}, "the service does not depend on the pipeline"
    await proven(pipeline, load, since, figures, f"{service} killed")


@pytest.mark.soak("a drill: a load around one more fault")
async def test_mysql_that_is_killed_and_started_again_loses_nothing_downstream(
    pipeline: PipelineStack, figures: Callable[[str], None]
) -> None:
    load, since = await loaded(
        pipeline,
        lambda: pipeline.kill("mysql"),
        lambda: pipeline.start("mysql"),
        while_it_lasts=0,
    )

    await proven(pipeline, load, since, figures, "mysql killed")


@pytest.mark.soak("a drill: a load around one more fault")
async def test_s3_that_answers_500_delays_and_loses_nothing(
    pipeline: PipelineStack, figures: Callable[[str], None]
) -> None:
    def recover() -> None:
        time.sleep(10)  # long enough for the sink to fail over several commits
        pipeline.s3_fails(fails=False)

    load, since = await loaded(pipeline, lambda: pipeline.s3_fails(fails=True), recover)

    await proven(pipeline, load, since, figures, "S3 answering 500")


@pytest.mark.soak("a drill: a load around one more fault")
async def test_connect_that_starts_while_the_registry_is_away_parks_nothing(
    pipeline: PipelineStack, figures: Callable[[str], None]
) -> None:
    """A converter without its schemas must wait: the records are not broken."""

    def fault() -> None:
        pipeline.kill("connect")
        pipeline.kill("schema-registry")
        pipeline.start("connect")

    load, since = await loaded(pipeline, fault, lambda: pipeline.start("schema-registry"))

    await proven(pipeline, load, since, figures, "Connect started without the registry")
    letters = await asyncio.to_thread(pipeline.stroke, "pipeline", "dlq", "list", "--json")
    assert json.loads(letters.stdout) == {"letters": []}, letters.stderr


@pytest.mark.soak("a drill: a load around one more fault")
async def test_a_registry_that_hangs_is_ended_and_started_again(
    pipeline: PipelineStack, figures: Callable[[str], None]
) -> None:
    """One that answers nobody is away as one that takes no connection is: the source waits.

    It does so while the load goes on, until the registry's own watch kills it.
    """
    before = pipeline.crashes("schema-registry")

    def hang() -> None:
        stop = "kill -STOP $(pidof java)"
        pipeline.compose("exec", "-T", "schema-registry", "sh", "-c", stop)

    def comes_back() -> None:
        until(
            lambda: pipeline.crashes("schema-registry") > before,
            within=300,
            what="the registry's end",
        )
        pipeline.start("schema-registry")  # and wait until it is healthy

    load, since = await loaded(pipeline, hang, comes_back)

    logged = await asyncio.to_thread(pipeline.logs, "schema-registry")
    assert "run: the registry has not been alive for 6 looks" in logged
    assert "State:\tT (stopped)" in logged  # what the kernel says of a JVM that cannot
    await proven(pipeline, load, since, figures, "registry hung")


@pytest.mark.soak("it compares what all drills before it left")
def test_the_schedule_tells_prometheus(pipeline: PipelineStack) -> None:
    """It compares all that the tests before this one left, within its limit of memory."""
    assert pipeline.crashes("verify") == 0
    pipeline.restart("verify")

    def exposed() -> set[str]:
        try:
            url = f"http://127.0.0.1:{pipeline.ports['verify']}/metrics"
            return set(httpx.get(url, timeout=10).text.splitlines())
        except httpx.HTTPError:
            return set()

    until(
        lambda: any(line.startswith("stroke_pipeline_verify_timestamp") for line in exposed()),
        within=300,
        what="the first comparison",
    )
    metrics = exposed()
    for replica in ("sql", "s3"):
        for wrong in ("missing", "extra", "different", "duplicates"):
            assert f'stroke_pipeline_verify_{wrong}{{replica="{replica}"}} 0.0' in metrics
    assert pipeline.crashes("verify") == 0
