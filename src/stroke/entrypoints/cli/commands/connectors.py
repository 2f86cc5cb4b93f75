"""`stroke connectors`: what runs in Kafka Connect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.application.pipeline.kafka_connect_model import in_words
from stroke.domain.errors import ConnectorFailed, StrokeError
from stroke.entrypoints.cli.commands import connectors_render
from stroke.entrypoints.cli.terminal.daemon import regularly
from stroke.entrypoints.cli.terminal.options import AsJson, MetricsPort, Yes
from stroke.entrypoints.cli.terminal.output import print_table, progress
from stroke.entrypoints.cli.terminal.pipeline_runner import run
from stroke.entrypoints.cli.terminal.reports import ReportKeeper
from stroke.entrypoints.cli.terminal.said import say
from stroke.entrypoints.cli.terminal.signals import stops_on_sigterm

if TYPE_CHECKING:
    from rich.table import Table

    from stroke.application.pipeline.connector_watch import ConnectorWatch, WatchEvent
    from stroke.application.pipeline.connectors import ConnectorService, Plan
    from stroke.application.pipeline.kafka_connect_model import ConnectorStatus
    from stroke.config import PipelineSettings
    from stroke.container.pipeline import PipelineContainer

app = typer.Typer(no_args_is_help=True, help="Kafka Connect's connectors: apply, watch, restart.")
app.command()(connectors_render.render)

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="A file's name or a connector's.",
        show_default="all",
    ),
]
Within = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0,
        help="Seconds within which Connect must answer, and each connector must run.",
        show_default="STROKE_CONNECT_WAIT_SECONDS",
    ),
]
Migrate = Annotated[
    bool, typer.Option("--migrate", help="Give the Iceberg sink another control topic.")
]


@app.command()
def apply(
    names: Names = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the differences; send nothing.")
    ] = False,
    migrate: Migrate = False,
    timeout: Within = None,
) -> None:
    """Send the configs of connectors/*.json to Kafka Connect, and wait until they run.

    Shows the differences first. Refuses wrong values before Connect sees them, and sends only
    what differs. Removes nothing. Waits until Connect answers.

    \b
    stroke connectors apply --dry-run
    stroke connectors apply
    stroke connectors apply mysql-source sqlserver-sink
    """  # noqa: D301

    async def work(parts: PipelineContainer, settings: PipelineSettings) -> None:
        within = settings.connect.wait_seconds if timeout is None else timeout
        await _apply(parts.connectors(), names or [], within, dry_run=dry_run, migrate=migrate)

    run(work)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show every connector and its tasks. The exit code is 0 only if all of them run.

    If one failed, it says why in words, what to do, and which record a sink reads next.

    \b
    stroke connectors status
    stroke connectors status --json | jq -r '.connectors[] | select(.state == "FAILED").name'
    """  # noqa: D301

    async def work(
        parts: PipelineContainer, _: PipelineSettings
    ) -> tuple[list[ConnectorStatus], list[str], dict[str, str]]:
        service = parts.connectors()
        found = await service.statuses()
        return found, await service.missing(), await _before_those_that_fail(service, found)

    found, missing, before = run(work)
    if as_json:
        shown = [
            {**asdict(one), "running": one.is_running, "next_record": before.get(one.name)}
            for one in found
        ]
        typer.echo(json.dumps({"connectors": shown, "missing": missing}))
    else:
        print_table(_table(found, missing))
        for one in found:
            _print_failure(one, before.get(one.name))
    if missing or not all(one.is_running for one in found):
        raise typer.Exit(1)


@app.command()
def restart(
    names: Names = None,
    *,
    only_failed: Annotated[
        bool, typer.Option("--only-failed", help="Restart only what failed.")
    ] = False,
) -> None:
    """Restart connectors with their tasks; they continue where they stopped.

    \b
    stroke connectors restart --only-failed
    stroke connectors restart mysql-source
    """  # noqa: D301
    _each("restarted", lambda service: service.restart(names or [], only_failed=only_failed))


@app.command()
def pause(names: Names = None) -> None:
    """Pause connectors: they keep their position, and `watch` does not restart them.

    \b
    stroke connectors pause sqlserver-sink
    """  # noqa: D301
    _each("paused", lambda service: service.pause(names or []))


@app.command()
def resume(names: Names = None) -> None:
    """Resume paused or stopped connectors; they continue where they stopped.

    \b
    stroke connectors resume sqlserver-sink
    """  # noqa: D301
    _each("resumed", lambda service: service.resume(names or []))


@app.command()
def remove(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="A file's name or a connector's.")
    ],
    *,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing.")] = False,
) -> None:
    """Remove connectors from Connect. Topics, offsets and copies stay: `apply` continues there.

    \b
    stroke connectors remove s3-sink --dry-run
    stroke connectors remove s3-sink --yes
    """  # noqa: D301
    if dry_run:
        _each("would be removed", lambda service: service.remove(names, dry_run=True))
        return
    if not yes:
        typer.confirm(f"Remove {', '.join(names)}?", abort=True)
    _each("removed", lambda service: service.remove(names))


@app.command()
def watch(
    *,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two checks.")] = 10.0,
    metrics_port: MetricsPort = None,
    once: Annotated[
        bool, typer.Option("--once", help="Check once; exit code 1 if something is wrong.")
    ] = False,
    apply_first: Annotated[
        bool, typer.Option("--apply", help="Apply all first; serve metrics once all run.")
    ] = False,
) -> None:
    """Restart connectors that fail or stall, with growing pauses, until SIGTERM or Ctrl-C.

    A sink has stalled if it commits nothing although there are records to read, whatever its state
    says. Paused and stopped connectors are not restarted. Prints one line for each event, and one
    for a problem that lasts. Where STROKE_ERASURE_WORKER is `pipeline`, it also carries out the
    erasures that callers of the API ask for.

    \b
    stroke connectors watch --metrics-port 9401
    stroke connectors watch --once
    """  # noqa: D301

    async def work(parts: PipelineContainer, settings: PipelineSettings) -> bool:
        if apply_first:
            await _apply_or_go_on(parts.connectors(), settings.connect.wait_seconds)
        watching = parts.connector_watch()
        if once:
            return _print_events(await watching.look())
        with stops_on_sigterm():
            async with _erasing(settings):
                await _watch(parts, settings, watching, interval, metrics_port, wait=apply_first)
        return True

    if not run(work):
        raise typer.Exit(1)


@asynccontextmanager
async def _erasing(settings: PipelineSettings) -> AsyncIterator[None]:
    """Carry out, beside the block, the erasures that callers of the API ask for."""
    if settings.erasure.worker != "pipeline":
        yield
        return
    from stroke.container.erasure import erasure_worker

    async with erasure_worker(settings) as worker:
        working = asyncio.create_task(
            worker.work(lambda: asyncio.sleep(settings.erasure.poll_seconds))
        )
        try:
            yield
        finally:
            working.cancel()
            await asyncio.wait({working})


async def _watch(
    parts: PipelineContainer,
    settings: PipelineSettings,
    watching: ConnectorWatch,
    interval: float,
    port: int | None,
    *,
    wait: bool,
) -> None:
    from datetime import UTC, datetime

    from stroke.container.metrics import metrics_server
    from stroke.container.platform import connectors_report

    seen: list[WatchEvent] = []
    keeper = ReportKeeper()

    async def look() -> list[WatchEvent]:
        found = await watching.look()
        report = connectors_report(watching.seen, found, datetime.now(UTC))
        await keeper.keep(settings.database, report)
        return found

    with ExitStack() as open_port:

        def show(found: list[WatchEvent]) -> None:
            nonlocal port, seen
            before, seen = seen, found
            _print_events([event for event in seen if event not in before])  # what goes on, once
            if port is not None and (watching.all_run or not wait):
                server = metrics_server(parts.metrics_registry(), settings.http, port)
                open_port.enter_context(server)
                port = None

        await regularly(look, show, every=interval)


async def _apply_or_go_on(service: ConnectorService, within: float) -> None:
    """Apply all; one that does not come to run is the watch's business.

    A copy that cannot be reached yet, such as a bucket that comes back later, is waited for: its
    cause is shown once.
    """
    try:
        await service.once_reachable(
            lambda: _apply(service, [], within, dry_run=False, migrate=False),
            waiting=lambda cause: say(f"waiting: {cause}", "warning"),
        )
    except ConnectorFailed as error:
        say(str(error), "error")


async def _apply(
    service: ConnectorService, names: list[str], within: float, *, dry_run: bool, migrate: bool
) -> None:
    with progress() as display:
        bar = display.add_task("waiting for Kafka Connect", total=None)
        await service.wait_for_connect(within)
        display.update(bar, description="checking the connectors")
        plans = await service.plan(names, migrate=migrate)
    for plan in plans:
        _print_plan(plan)
    if dry_run:
        return
    with progress() as display:
        bar = display.add_task("waiting until they run", total=len(plans))
        await service.apply(plans, within=within, on_running=lambda _: display.advance(bar))
    typer.echo(f"{len(plans)} connectors run" if len(plans) != 1 else "1 connector runs")


def _each(done: str, work: Callable[[ConnectorService], Awaitable[list[str]]]) -> None:
    async def on_service(parts: PipelineContainer, _: PipelineSettings) -> list[str]:
        return await work(parts.connectors())

    for name in run(on_service):
        typer.echo(f"{name}: {done}")


def _print_plan(plan: Plan) -> None:
    differs = plan.changes or plan.limits
    what = "is new" if plan.is_new else "differs" if differs else "is as it should be"
    typer.echo(f"{plan.spec.name}: {what}")
    for change in (*plan.changes, *plan.limits):
        typer.echo(f"  {change}")
    if plan.note:
        typer.echo(f"  note: {plan.note}")


def _print_events(events: list[WatchEvent]) -> bool:
    """Print one line for each; return whether nothing is wrong."""
    from datetime import UTC, datetime

    from stroke.application.pipeline.connector_watch import WatchEventKind

    for event in events:
        about = f" {event.connector}" if event.connector else ""
        typer.echo(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {event.kind}{about}: {event.detail}")
    return all(event.kind is WatchEventKind.RECOVERED for event in events)


async def _before_those_that_fail(
    service: ConnectorService, found: list[ConnectorStatus]
) -> dict[str, str]:
    """Return the record that each failing sink has to take next, where Kafka can be asked."""
    before = {}
    for one in found:
        with suppress(StrokeError):
            record = await service.in_the_way(one)
            if record is not None:
                before[one.name] = str(record)
    return before


def _print_failure(status: ConnectorStatus, record: str | None) -> None:
    if not status.has_failed:
        return
    for cause in status.causes:
        typer.echo(f"{status.name}: {cause.words}. Remedy: {cause.advice}")
    if record and status.failing_record is not None:
        typer.echo(f"{status.name} fails on {record}: `stroke pipeline dlq park {status.name}`")
    elif record:
        typer.echo(
            f"{status.name} fails on {record}, or on one that it reads with it: `stroke pipeline "
            f"dlq park {status.name} --dry-run` finds out which"
        )


def _table(found: list[ConnectorStatus], missing: list[str]) -> Table:
    from rich.table import Column, Table

    whole = Column("connector", no_wrap=True)  # a name that is cut, or broken, is no name
    table = Table(whole, "kind", "state", "tasks", "worker", "reason")
    for one in found:
        tasks = ", ".join(f"{task.number} {task.state}" for task in one.tasks) or "none"
        failures = [in_words(one.cause, one.reason), *(task.why for task in one.tasks)]
        reasons = filter(None, failures)
        style = None if one.is_running else "red"
        table.add_row(
            one.name, one.kind, one.state, tasks, one.worker, ", ".join(reasons), style=style
        )
    for name in missing:
        table.add_row(name, "", "missing", "", "", "run `stroke connectors apply`", style="red")
    return table
