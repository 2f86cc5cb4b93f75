"""`stroke pipeline`: the proof that every copy equals MySQL, and its repair."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.application.pipeline.consistency import Comparison, DeadLetter
from stroke.domain.errors import StrokeError
from stroke.entrypoints.cli.commands import dlq
from stroke.entrypoints.cli.commands.sink_schema import sink_schema
from stroke.entrypoints.cli.commands.tail import tail
from stroke.entrypoints.cli.terminal.comparisons import print_comparisons, print_ids, ranges
from stroke.entrypoints.cli.terminal.daemon import regularly
from stroke.entrypoints.cli.terminal.options import AsJson, MetricsPort, Yes
from stroke.entrypoints.cli.terminal.output import progress
from stroke.entrypoints.cli.terminal.pipeline_runner import run
from stroke.entrypoints.cli.terminal.reports import ReportKeeper
from stroke.entrypoints.cli.terminal.said import say
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from stroke.application.pipeline.bring_back import OnlyInCopies
    from stroke.application.pipeline.next_id import NextId
    from stroke.application.pipeline.ports import Replica
    from stroke.application.pipeline.verification import PipelineVerifier, Repair
    from stroke.config import PipelineSettings
    from stroke.container.pipeline import PipelineContainer

app = typer.Typer(no_args_is_help=True, help="The copies of the predictions: prove and repair.")
app.add_typer(dlq.app, name="dlq")
app.command()(tail)


class ReplicaName(StrEnum):
    """The copies that can be compared."""

    SQL = "sql"
    S3 = "s3"


Replicas = Annotated[
    list[ReplicaName] | None,
    typer.Option("--replica", help="Only this copy; may be repeated.", show_default="all"),
]
ChunkSize = Annotated[int, typer.Option(min=1, max=1_000_000, help="Rows compared at a time.")]
Timeout = Annotated[float, typer.Option(min=0, help="Seconds within which a copy must catch up.")]


@app.command()
def verify(
    *,
    replica: Replicas = None,
    chunk_size: ChunkSize = 10_000,
    timeout: Timeout = 120.0,
    as_json: AsJson = False,
    every: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="Repeat until SIGTERM or Ctrl-C.")
    ] = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Compare every row of MySQL with its copies, while rows are written and erased.

    Waits until the copies have caught up, compares checksums in one pass, and reads rows that
    differ once more. The exit code is 1 if an id is missing, extra or different, or an event is
    stored twice. With --every, a comparison that fails is reported, and the next one follows.

    \b
    stroke pipeline verify
    stroke pipeline verify --replica sql --json | jq '.replicas[].missing'
    stroke pipeline verify --every 3600 --metrics-port 9402
    """  # noqa: D301
    from datetime import UTC, datetime

    from stroke.container.platform import failed_verification, verification_report

    named: set[str] = set()
    keeper = ReportKeeper()

    async def once(parts: PipelineContainer, settings: PipelineSettings) -> list[Comparison]:
        try:
            async with _verifier(parts, replica) as verifier:
                found = await _compare(verifier, chunk_size, timeout)
                _name_uncompared(await parts.source().uncompared(), named)
        except StrokeError as error:
            copies = replica or list(ReplicaName)
            failed = failed_verification(str(error), datetime.now(UTC), copies)
            await keeper.keep(settings.database, failed)
            raise
        await keeper.keep(settings.database, verification_report(found, datetime.now(UTC)))
        return found

    async def once_with_letters(
        parts: PipelineContainer, settings: PipelineSettings
    ) -> tuple[list[Comparison], list[DeadLetter]]:
        comparisons = await once(parts, settings)
        letters: list[DeadLetter] = []
        if not all(comparison.is_equal for comparison in comparisons):
            with suppress(StrokeError):  # the comparison counts, whoever is away meanwhile
                letters = await parts.dead_letter_service().letters()
            await parts.source_engine().dispose()
        return comparisons, letters

    async def again(parts: PipelineContainer, settings: PipelineSettings) -> None:
        from stroke.container.metrics import metrics_server

        observer = parts.pipeline_observer()  # its metrics are there from the first scrape on

        def show(comparisons: list[Comparison]) -> None:
            observer.verified(comparisons)
            print_comparisons(comparisons, as_json=as_json)

        with metrics_server(parts.metrics_registry(), settings.http, metrics_port):
            await regularly(lambda: once(parts, settings), show, every=every or 0)

    with ends_on_sigterm():
        if every is not None:
            run(again)
        else:
            comparisons, letters = run(once_with_letters)
            print_comparisons(comparisons, as_json=as_json, letters=letters)
            _end(comparisons)


@app.command()
def repair(
    *,
    replica: Replicas = None,
    chunk_size: ChunkSize = 10_000,
    timeout: Timeout = 120.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the ids; send nothing.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send rows that differ to the copies again, then verify.

    Debezium sends missing and different rows by an incremental snapshot, while changes flow on.
    For extra rows, a deletion is written to MySQL's binlog. The exit code is 1 if the copies
    still differ at the end.

    \b
    stroke pipeline repair --dry-run
    stroke pipeline repair --yes
    """  # noqa: D301
    from stroke.container.audit import written_down
    from stroke.container.pipeline import use_schema_account
    from stroke.domain.audit import AuditAction

    async def work(parts: PipelineContainer, settings: PipelineSettings) -> list[Comparison]:
        use_schema_account(parts, settings)  # deletions that are sent anew set the counter back
        async with _verifier(parts, replica) as verifier:
            found = await _compare(verifier, chunk_size, timeout)
            if dry_run or all(comparison.is_equal for comparison in found):
                print_comparisons(found, as_json=as_json)
                if dry_run and not as_json:
                    print_ids(found)
                return [] if dry_run else found
            if not yes:
                print_comparisons(found, stderr=True)
                typer.confirm("Send these rows once more?", abort=True, err=True)
            what = f"repair: {' '.join(each.replica for each in found if not each.is_equal)}"
            async with written_down(settings.database, AuditAction.COPY_CHANGE, what):
                done = await _repair(verifier, found, chunk_size, timeout)
            _name_uncompared(await parts.source().uncompared(), set())
        print_comparisons(done.comparisons, as_json=as_json)
        _print_repair(done)
        return done.comparisons

    with ends_on_sigterm():
        _end(run(work))


@app.command("next-id")
def next_id(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say it; change nothing.")] = False,
    yes: Yes = False,
    without_topic: Annotated[
        bool, typer.Option("--without-topic", help="Do not ask Kafka: its volume is lost.")
    ] = False,
) -> None:
    """Let MySQL give only ids that no copy has seen. Run it after a restore, before the API.

    Asks MySQL, the SQL copy, the lake and the keys on Kafka for their highest id, and sets
    AUTO_INCREMENT above all of them if it is below. An id that only the SQL copy has, a million
    above all others, does not count: somebody wrote it by hand. The exit code is 1 if MySQL would
    give ids anew and --yes is missing.

    \b
    stroke pipeline next-id --dry-run
    stroke pipeline next-id --yes
    """  # noqa: D301
    from stroke.container.pipeline import use_schema_account

    async def work(parts: PipelineContainer, settings: PipelineSettings) -> bool:
        use_schema_account(parts, settings)
        ids = parts.next_ids()
        try:
            found = await ids.look(with_topic=not without_topic)
            _print_next_id(found)
            if dry_run or found.is_safe:
                return found.is_safe or dry_run
            if not yes:
                typer.confirm(f"Let MySQL continue at {found.wanted}?", abort=True, err=True)
            done = await ids.settle(found)
            typer.echo(f"MySQL continues at {done.gives:,}")
            return done.is_safe
        finally:
            await parts.sql_replica().close()
            await parts.source_engine().dispose()

    if not run(work):
        raise typer.Exit(1)


@app.command("bring-back")
def bring_back(
    *,
    replica: Replicas = None,
    chunk_size: ChunkSize = 10_000,
    timeout: Timeout = 120.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the ids; change nothing.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Insert into MySQL the rows that only the copies have, with their ids. For after a restore.

    Rows come from the lake's change log, which only MySQL's binlog writes. Rows that are in the
    SQL copy alone are listed; to bring these back, too, name it: --replica sql. Look at the list
    first: a row may be missing in MySQL because it was erased. A masked column comes back masked.

    \b
    stroke pipeline bring-back --dry-run
    stroke pipeline bring-back --yes
    """  # noqa: D301
    from stroke.application.pipeline import bring_back as rows
    from stroke.container.audit import written_down
    from stroke.domain.audit import AuditAction

    async def work(parts: PipelineContainer, settings: PipelineSettings) -> None:
        async with _verifier(parts, replica) as verifier:
            compared = await _compare(verifier, chunk_size, timeout)
            found = rows.only_in_copies(compared, log=ReplicaName.S3)
            _print_only_in_copies(found)
            if dry_run or not found.count:
                return
            if settings.cdc.mask:
                say(f"the column {settings.cdc.mask} comes back masked")
            if not yes:
                typer.confirm("Insert these rows into MySQL?", abort=True, err=True)
            replicas = [parts.lake_replica(), parts.sql_replica()]
            async with written_down(settings.database, AuditAction.DATA_IMPORT, "rows of copies"):
                done = await rows.bring_back(parts.source(), replicas, found, chunk_size=chunk_size)
        typer.echo(f"{len(done):,} of {found.count:,} rows are back in MySQL")
        if len(done) < found.count:
            say("the others are stored already, or their key is another row's now", "warning")

    with ends_on_sigterm():
        run(work)


app.command("sink-schema")(sink_schema)


@asynccontextmanager
async def _verifier(
    parts: PipelineContainer, names: Sequence[ReplicaName] | None
) -> AsyncIterator[PipelineVerifier]:
    chosen = frozenset(names or ReplicaName)
    replicas: list[Replica] = []
    try:
        if ReplicaName.SQL in chosen:
            replicas.append(parts.sql_replica())
        if ReplicaName.S3 in chosen:
            replicas.append(parts.lake_replica())
        yield parts.verifier(replicas=replicas)
    finally:
        if ReplicaName.SQL in chosen and replicas:
            await parts.sql_replica().close()
        await parts.source_engine().dispose()


async def _compare(verifier: PipelineVerifier, chunk_size: int, seconds: float) -> list[Comparison]:
    with _bar("comparing") as advance:
        return await verifier.verify(chunk_size=chunk_size, timeout=seconds, on_progress=advance)


async def _repair(
    verifier: PipelineVerifier, found: list[Comparison], chunk_size: int, seconds: float
) -> Repair:
    with _bar("sending") as advance:
        return await verifier.repair(
            found, chunk_size=chunk_size, timeout=seconds, on_progress=advance
        )


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    with progress() as display:
        bar = display.add_task(f"{what}: waiting for the copies", total=None)
        yield lambda done, total: display.update(bar, description=what, completed=done, total=total)


def _print_only_in_copies(found: OnlyInCopies) -> None:
    for name, ids in found.rows.items():
        typer.echo(f"only in {name}: {len(ids):,} rows: {ranges(ids)}")
    if found.doubtful:
        say(f"in the SQL copy, and not in the change log: {ranges(found.doubtful)}")
    if not found.count:
        typer.echo("no row to bring back")


def _print_next_id(found: NextId) -> None:
    for place, seen in found.seen.items():
        said = "no ids" if seen is None else f"ids up to {seen:,}"
        far = " (does not count: far above all others)" if place in found.unbelieved else ""
        say(f"{place} has {said}{far}")
    then = "which is safe" if found.is_safe else f"which is too low: it must be {found.wanted:,}"
    typer.echo(f"MySQL would give {found.gives:,} next, {then}")


def _name_uncompared(columns: Mapping[str, str], named: set[str]) -> None:
    """Name each column that no comparison covers, once."""
    for name in sorted(columns.keys() - named):
        say(f"not verified: column {name}, of type {columns[name]}")
        named.add(name)


def _end(comparisons: Sequence[Comparison]) -> None:
    if not all(comparison.is_equal for comparison in comparisons):
        raise typer.Exit(1)


def _print_repair(done: Repair) -> None:
    say(f"{done.sent:,} sent again, {done.deleted:,} deletions sent")
    if done.passed_over:
        say(
            f"not sent, because they are stored, or beyond what MySQL can have given: "
            f"{ranges(done.passed_over)}: delete them from the copy by hand",
        )
    if any(comparison.duplicates for comparison in done.comparisons):
        say("events that are stored twice cannot be repaired by sending more")
