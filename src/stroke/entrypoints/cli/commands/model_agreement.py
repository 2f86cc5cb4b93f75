"""`stroke model agreement`: how far shadows agree with what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.entrypoints.cli.terminal.agreement_text import print_agreements
from stroke.entrypoints.cli.terminal.options import AsJson, Since, Site, Until, made_between
from stroke.entrypoints.cli.terminal.output import progress
from stroke.entrypoints.cli.terminal.scoring_options import container_of
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from stroke.container.service import Container
    from stroke.domain.agreement import AgreementReport
    from stroke.domain.prediction import PredictionFilter


def agreement(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]", help="A shadow's name or version.", show_default="all shadows"
        ),
    ] = None,
    *,
    since: Since = None,
    until: Until = None,
    site: Site = None,
    as_json: AsJson = False,
) -> None:
    """Say how far shadows agree with what was answered, from their stored scores.

    For everybody, and by gender, age group and smoking status: differences of the probability
    (mean with its 95 % interval, standard deviation, quantiles, the largest), and how many patients
    the shadow puts into another risk category. Groups smaller than STROKE_SHADOW_LEAST say only
    their size. No patient is shown.

    \b
    stroke model agreement
    stroke model agreement candidate --since 2026-11-01 --site north-1
    stroke model agreement --json | jq '.items[0].groups[0].changed'
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    import asyncio

    within = made_between(since, until, site)
    parts = container_of(None)

    async def asked() -> list[AgreementReport]:
        try:
            return await _reports(parts, model, within)
        finally:
            await parts.engine().dispose()

    with ends_on_sigterm():
        reports = asyncio.run(asked())
    print_agreements(reports, as_json=as_json)


async def _reports(
    parts: Container, model: str | None, within: PredictionFilter
) -> list[AgreementReport]:
    service = parts.agreement()
    await parts.repository().check()
    known = await service.versions()
    wanted: Sequence[str] = known if model is None else [_version(parts, model, known)]
    with progress() as display:
        bar = display.add_task("comparing", total=None)
        return [
            await service.report(
                each, within, on_progress=lambda read: display.update(bar, completed=read)
            )
            for each in wanted
        ]


def _version(parts: Container, model: str, known: Sequence[str]) -> str:
    """Return the version that is meant: one with scores need not be in the store any more.

    Raises ``ModelError``, ``ModelNotFound`` for a name that nobody knows among them.
    """
    from stroke.container.models import describe_deployable

    return model if model in known else describe_deployable(parts.settings().model, model).version
