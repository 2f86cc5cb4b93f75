"""`stroke audit`: who read, changed or erased what, and the proof that the record is whole."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

import typer

from stroke.domain.errors import InvalidSetting
from stroke.entrypoints.cli.terminal.options import MOMENTS, AsJson, in_utc
from stroke.entrypoints.cli.terminal.output import STDOUT, opened, progress
from stroke.entrypoints.cli.terminal.said import say

if TYPE_CHECKING:
    from stroke.application.audit.ports import AuditFilter
    from stroke.application.audit.trail import AuditTrail, Verification
    from stroke.config import DatabaseSettings
    from stroke.domain.audit import AuditEntry, AuditHead

_KNOWN: Final = re.compile(r"(\d{1,19}):([0-9a-f]{64})")

app = typer.Typer(no_args_is_help=True, help="The audit trail: who did what.")

Since = Annotated[
    datetime | None, typer.Option(formats=MOMENTS, help="Only what was done at or after (UTC).")
]
Until = Annotated[
    datetime | None, typer.Option(formats=MOMENTS, help="Only what was done before (UTC).")
]
Actor = Annotated[
    str | None, typer.Option(help="Only what this caller did: key:ID, token:SUBJECT, user:NAME.")
]
Action = Annotated[str | None, typer.Option(help="Only this action, such as prediction.read.")]
Site = Annotated[str | None, typer.Option(help="Only what callers of this site did.")]
Target = Annotated[str | None, typer.Option(help="Only what was done to this id.")]


@app.command()
def verify(
    *,
    known: Annotated[
        str | None,
        typer.Option(
            "--known",
            metavar="NUMBER:DIGEST",
            help="An end of the chain that was written down before, as this command prints it.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read the whole trail and say whether an entry was changed, removed or put in.

    It prints where the chain ends. Keep that line somewhere else: with --known, a trail whose
    last entries were removed, or that was made anew as a whole, is found, too. The exit code is
    0 if the chain holds, else 1.

    \b
    stroke audit verify
    stroke audit verify --known 1042:$DIGEST
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    from stroke.container.audit import with_audit_trail

    expected = None if known is None else _head(known)
    with progress() as display:
        bar = display.add_task("verifying", total=None)
        found = with_audit_trail(
            _database(),
            lambda trail: trail.verify(
                known=expected, progress=lambda count: display.update(bar, advance=count)
            ),
        )
    if as_json:
        typer.echo(json.dumps(_verification(found)))
    else:
        for each in found.broken:
            typer.echo(f"entry {each.number}: {each.reason}")
        state = "the chain holds" if found.holds else "the chain is broken"
        typer.echo(f"{_entries(found.entries)}: {state}")
        typer.echo(f"it ends at {found.head.number}:{found.head.digest}")
    if not found.holds:
        raise typer.Exit(1)


@app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    since: Since = None,
    until: Until = None,
    actor: Actor = None,
    action: Action = None,
    site: Site = None,
    target: Target = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest entries.

    \b
    stroke audit list --limit 50
    stroke audit list --target 17 --json
    """  # noqa: D301
    from stroke.container.audit import with_audit_trail

    narrowed = _filter(since, until, actor, action, site, target)
    entries = with_audit_trail(_database(), lambda trail: trail.newest(narrowed, limit=limit))
    if as_json:
        typer.echo(json.dumps({"entries": [_as_dict(each) for each in entries]}))
        return
    if not entries:
        typer.echo("no entries")
    for each in entries:
        shown = _as_dict(each)
        words = [shown["at"], shown["actor"], shown["action"], shown["target"], shown["outcome"]]
        times = f"({shown['times']:,} times)" if shown["times"] != 1 else None
        typer.echo("  ".join(word for word in (*words, times) if word))


@app.command()
def export(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to; - is stdout.")
    ] = STDOUT,
    since: Since = None,
    until: Until = None,
    actor: Actor = None,
    action: Action = None,
    site: Site = None,
    target: Target = None,
) -> None:
    """Write entries as JSON lines, the oldest first, with the digests of the chain.

    The export itself becomes an entry.

    \b
    stroke audit export -o trail.jsonl
    stroke audit export --since 2026-01-01 | gzip > trail.jsonl.gz
    """  # noqa: D301
    from stroke.container.audit import audited, with_audit_trail
    from stroke.domain.audit import AuditAction

    narrowed = _filter(since, until, actor, action, site, target)
    database = _database()
    with audited(database, AuditAction.AUDIT_READ, "export"), opened(output) as stream:
        count = with_audit_trail(database, lambda trail: _exported(trail, narrowed, stream))
    say(_entries(count))


async def _exported(trail: AuditTrail, narrowed: AuditFilter, stream: BinaryIO) -> int:
    count = 0
    async for each in trail.entries(narrowed):
        stream.write(json.dumps(_as_dict(each), ensure_ascii=False).encode() + b"\n")
        count += 1
    return count


def _database() -> DatabaseSettings:
    from stroke.config import Settings
    from stroke.container.database import prepare_schema

    database = Settings.load().database
    prepare_schema(database)
    return database


def _filter(
    since: datetime | None,
    until: datetime | None,
    actor: str | None,
    action: str | None,
    site: str | None,
    target: str | None,
) -> AuditFilter:
    from stroke.application.audit.ports import AuditFilter

    return AuditFilter(actor, action, site, target, in_utc(since), in_utc(until))


def _head(text: str) -> AuditHead:
    from stroke.domain.audit import AuditHead

    matched = _KNOWN.fullmatch(text.strip())
    if matched is None:
        raise InvalidSetting("--known takes NUMBER:DIGEST, as `stroke audit verify` prints it")
    return AuditHead(int(matched[1]), matched[2])


def _verification(found: Verification) -> dict[str, Any]:
    return {
        "holds": found.holds,
        "entries": found.entries,
        "head": f"{found.head.number}:{found.head.digest}",
        "broken": [{"number": each.number, "reason": each.reason} for each in found.broken],
    }


def _as_dict(entry: AuditEntry) -> dict[str, Any]:
    at = entry.event.at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {**entry.columns(), "at": at}


def _entries(count: int) -> str:
    return f"{count:,} entry" if count == 1 else f"{count:,} entries"
