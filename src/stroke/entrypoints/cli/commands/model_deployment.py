"""`stroke model status`, `promote`, `rollback`, `canary` and `shadow`: which models are served."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from stroke.domain.deployment import Deployment, DeploymentAction
from stroke.domain.errors import InvalidSetting, ModelNotFound, ModelStoreUnavailable
from stroke.entrypoints.cli.terminal import service_runner
from stroke.entrypoints.cli.terminal.options import AsJson
from stroke.entrypoints.cli.terminal.output import print_table

if TYPE_CHECKING:
    from stroke.application.models.deployments import DeploymentService, Wish

_T = TypeVar("_T")

Name = Annotated[str, typer.Argument(metavar="MODEL", help="A name or a version in the store.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; it is kept with the change.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, and change nothing.")]
AsksForMore = Annotated[
    bool,
    typer.Option(
        "--asks-for-more", help="Allow a model that needs measurements that callers may leave out."
    ),
]


def status(
    *,
    history: Annotated[
        int, typer.Option(min=0, max=1000, help="How many of the last changes to list.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Show which models are served, since when, by whom and why.

    \b
    stroke model status
    stroke model status --history 20
    stroke model status --json | jq -r .champion.version
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped

    async def asked(service: DeploymentService) -> tuple[Deployment, list[Deployment]]:
        past = await service.history(limit=history) if history else []
        return await service.present(), past

    present, past = _with_deployments(asked)
    if as_json:
        typer.echo(_as_json(asdict(present) | {"history": [asdict(each) for each in past]}))
        return
    _print(present)
    if past:
        from rich.table import Table

        table = Table("number", "at", "change", "model", "by", "reason")
        for each in past:
            at = "" if each.at is None else f"{each.at:%Y-%m-%d %H:%M:%S}"
            table.add_row(str(each.number), at, each.action, each.model, each.by, each.reason)
        print_table(table)


def promote(
    model: Name,
    *,
    reason: Reason = None,
    asks_for_more: AsksForMore = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Serve a model: all workers follow within 5 seconds, and no request is lost.

    The model is loaded and verified first. A canary ends; shadows go on.

    \b
    stroke model promote candidate --reason "better calibrated, see ticket 12"
    stroke model promote candidate --dry-run
    """  # noqa: D301
    _change(
        DeploymentAction.PROMOTE,
        model,
        reason=reason,
        asks_for_more=asks_for_more,
        dry_run=dry_run,
        as_json=as_json,
    )


def rollback(*, reason: Reason = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Serve the champion before this one again, within 5 seconds; once more goes one further back.

    \b
    stroke model rollback --reason "ward 3 reports odd risks"
    """  # noqa: D301
    try:
        _change(DeploymentAction.ROLLBACK, None, reason=reason, dry_run=dry_run, as_json=as_json)
    except (ModelNotFound, ModelStoreUnavailable) as error:
        # A command has no model in memory, and promises none that it has not seen.
        raise type(error)(
            f"{error}; a service that still has it loaded can roll back without the store: by its "
            "Model page, or by POST /api/v1/models/deployment"
        ) from error


def canary(
    model: Annotated[
        str, typer.Argument(metavar="MODEL|stop", help="A name or a version, or the word stop.")
    ],
    *,
    share: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Its part of the patients: 10% or 0.1.")
    ] = None,
    reason: Reason = None,
    asks_for_more: AsksForMore = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let a model answer for a share of the patients, or stop that.

    A patient always gets the same model. The answer and the row say which one it was.

    \b
    stroke model canary candidate --share 10% --reason "first week"
    stroke model canary candidate --share 50%
    stroke model canary stop
    """  # noqa: D301
    if model == "stop":
        if share is not None:
            raise InvalidSetting("canary stop takes no --share")
        _change(DeploymentAction.CANARY_STOP, None, reason=reason, dry_run=dry_run, as_json=as_json)
        return
    if share is None:
        raise InvalidSetting("say which share of the patients the canary gets: --share 10%")
    _change(
        DeploymentAction.CANARY,
        model,
        share=_share(share),
        reason=reason,
        asks_for_more=asks_for_more,
        dry_run=dry_run,
        as_json=as_json,
    )


def shadow(
    model: Annotated[
        str, typer.Argument(metavar="MODEL|stop", help="A name or a version, or the word stop.")
    ],
    which: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Which shadow stops, of several.")
    ] = None,
    *,
    reason: Reason = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let a model score what the champion scores, after the answer, or stop that.

    Nobody gets what it says.

    \b
    stroke model shadow candidate --reason "before its canary"
    stroke model shadow stop
    stroke model shadow stop candidate
    """  # noqa: D301
    stops = model == "stop"
    if which is not None and not stops:
        raise InvalidSetting("name one model")
    _change(
        DeploymentAction.SHADOW_STOP if stops else DeploymentAction.SHADOW,
        which if stops else model,
        reason=reason,
        dry_run=dry_run,
        as_json=as_json,
    )


def _share(text: str) -> float:
    """Return a share: 10% and 0.1 are the same. Raises ``InvalidSetting``."""
    try:
        number = float(text.removesuffix("%").strip())
    except ValueError:
        raise InvalidSetting(f"--share {text} is no share: write 10% or 0.1") from None
    share = number / 100 if text.endswith("%") else number
    if not 0 < share < 1:
        raise InvalidSetting(f"--share {text} must be above 0 and below 100% (1)")
    return share


def _change(
    action: DeploymentAction,
    model: str | None,
    *,
    share: float | None = None,
    reason: str | None,
    asks_for_more: bool = False,
    dry_run: bool,
    as_json: bool,
) -> None:
    from stroke.application.models.deployments import Asker, Wish
    from stroke.container.audit import system_actor

    wish: Wish = Wish(action, model, share, reason, asks_for_more=asks_for_more)
    made = _with_deployments(
        lambda service: service.change(wish, Asker(system_actor()), dry_run=dry_run)
    )
    if as_json:
        typer.echo(_as_json(asdict(made) | {"dry_run": dry_run}))
        return
    if dry_run:
        typer.echo("this would be served (nothing was changed):")
    _print(made)


def _print(deployment: Deployment) -> None:
    from rich.table import Table

    table = Table("served as", "version", "share", "since (UTC)", "by", "reason")
    roles = [("champion", deployment.champion)]
    if deployment.challenger is not None:
        roles.append(("canary", deployment.challenger))
    roles += [("shadow", each) for each in deployment.shadows]
    for name, role in roles:
        since = "" if role.since is None else f"{role.since:%Y-%m-%d %H:%M:%S}"
        share = "" if role.share is None else f"{role.share:.4%}"
        by = role.by or "SAVED_MODEL"
        table.add_row(name, role.version, share, since, by, role.reason)
    print_table(table)
    if deployment.former:
        typer.echo(f"a rollback would serve {deployment.former[-1]}")


def _with_deployments(work: Callable[[DeploymentService], Awaitable[_T]]) -> _T:
    return service_runner.run(lambda parts: work(parts.deployments()))


def _as_json(found: object) -> str:
    return json.dumps(found, default=datetime.isoformat)
