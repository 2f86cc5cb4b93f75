"""`stroke keys`: who may call the service."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from stroke.entrypoints.cli.terminal.durations import duration
from stroke.entrypoints.cli.terminal.options import AsJson
from stroke.entrypoints.cli.terminal.output import counted
from stroke.entrypoints.cli.terminal.said import say

if TYPE_CHECKING:
    from stroke.application.access.keys import Around, KeyService, NewKey
    from stroke.domain.access import ApiKey

_T = TypeVar("_T")

app = typer.Typer(no_args_is_help=True, help="API keys: who may call the service.")

Which = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="The id of a key, or its name. Of a whole key its id counts, but other users of the "
        "machine and the shell's history see what is on a command line.",
    ),
]
Lifetime = Annotated[
    timedelta | None,
    typer.Option(
        "--expires",
        parser=duration,
        metavar="TIME",
        help="How long the key lives: 12h, 90d, 1y.",
        show_default="for ever, or as long as the former key",
    ),
]


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="Who or what will use the key.")],
    site: Annotated[str, typer.Option(help="The clinic that the key belongs to.")],
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="SCOPE,...",
            help="What the key allows: predict, read, erase, outcomes, models, metrics, audit, "
            "admin (all of these), all-sites.",
        ),
    ],
    expires: Lifetime = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it, once: stroke keeps a hash of it and cannot show it again.

    The first key closes the service: from then on, it answers callers with a key only.

    \b
    stroke keys create --name ward-3 --site north --scope predict,read --expires 90d
    KEY=$(stroke keys create --name ops --site north --scope admin,all-sites)
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    scopes = [part for each in scope for part in each.split(",")]
    with _changes("KEY_CREATE") as around:
        made = _with_keys(
            lambda keys: keys.create(
                name=name, site=site, scopes=scopes, lifetime=expires, around=around
            ),
            may_make=True,  # the first key may come before the first start
        )
        _show(made, as_json=as_json)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List all keys, the oldest first: also those that were revoked or have expired.

    \b
    stroke keys list
    stroke keys list --json
    """  # noqa: D301
    found = _with_keys(lambda keys: keys.all())
    if as_json:
        typer.echo(json.dumps({"keys": [_as_dict(key) for key in found]}))
        return
    if not found:
        typer.echo("there is no key: everybody who reaches the service may call it")
    for key in found:
        typer.echo(_line(key))


@app.command()
def revoke(which: Which, *, as_json: AsJson = False) -> None:
    """Take back a key, or all keys with a name. It ends within 5 seconds in every process.

    \b
    stroke keys revoke 3f2a9c0d41b7e856
    stroke keys revoke ward-3
    """  # noqa: D301
    with _changes("KEY_REVOKE") as around:
        revoked = _with_keys(lambda keys: keys.revoke(which, around=around))
        if as_json:
            typer.echo(json.dumps({"revoked": [_as_dict(key) for key in revoked]}))
        else:
            ids = ", ".join(key.id for key in revoked)
            typer.echo(f"{counted(len(revoked), 'key')} revoked: {ids}")


@app.command()
def rotate(
    which: Which,
    *,
    overlap: Annotated[
        timedelta,
        typer.Option(parser=duration, metavar="TIME", help="How long the former key lives on."),
    ] = "24h",  # type: ignore[assignment] # the parser reads it
    expires: Lifetime = None,
    as_json: AsJson = False,
) -> None:
    """Make a key in place of another one, with the same name, site and scopes; print it, once.

    Both keys work until the overlap has passed.

    \b
    stroke keys rotate ward-3 --overlap 7d
    """  # noqa: D301
    with _changes("KEY_ROTATE") as around:
        made, former = _with_keys(
            lambda keys: keys.rotate(which, overlap=overlap, lifetime=expires, around=around)
        )
        _show(made, as_json=as_json, former=former)


def _with_keys(work: Callable[[KeyService], Awaitable[_T]], *, may_make: bool = False) -> _T:
    from stroke.config import Settings
    from stroke.container.access import with_keys
    from stroke.container.database import prepare_schema

    database = Settings.load().database
    prepare_schema(database, may_make=may_make)
    return with_keys(database, work)


@contextmanager
def _changes(action: str) -> Iterator[Around]:
    """Give what writes down a change of keys before it and after it.

    Where the entry after it cannot be written, the block shows what was changed, and then this
    raises ``StoreUnavailable``.
    """
    from stroke.config import Settings
    from stroke.container.audit import KeyChanges
    from stroke.domain.audit import AuditAction

    changes = KeyChanges(Settings.load().database)
    yield changes.of(AuditAction[action])
    changes.check()


def _show(made: NewKey, *, as_json: bool, former: ApiKey | None = None) -> None:
    if as_json:
        shown = {"key": made.text, **_as_dict(made.key)}
        if former is not None:
            shown["former"] = _as_dict(former)
        typer.echo(json.dumps(shown))
        return
    typer.echo(made.text)
    # On stderr, so that stdout holds the key and nothing else.
    say(f"keep it now, it is not shown again: {_line(made.key)}")
    if former is not None:
        say(f"the former key lives on for a while: {_line(former)}")


def _as_dict(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "site": key.site,
        "scopes": sorted(key.scopes),
        "state": key.state(datetime.now(UTC)),
        "created_at": _time(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "replaced_by": key.replaced_by,
    }


def _line(key: ApiKey) -> str:
    shown = _as_dict(key)
    words = [
        f"{shown['id']}  {shown['state']:8}  {shown['site']}  {shown['name']}",
        f"may {', '.join(shown['scopes'])}",
        f"made {shown['created_at']}",
    ]
    for what, when in (("expires", key.expires_at), ("revoked", key.revoked_at)):
        if when is not None:
            words.append(f"{what} {_time(when)}")
    if key.replaced_by is not None:
        words.append(f"replaced by {key.replaced_by}")
    return "; ".join(words)


def _time(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
