"""`stroke performance`: how right the model was, by the outcomes that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.domain.errors import InvalidSetting
from stroke.domain.prediction import PredictionFilter
from stroke.entrypoints.cli.terminal.daemon import regularly
from stroke.entrypoints.cli.terminal.options import (
    AsJson,
    FairnessLimit,
    Html,
    MinimumCount,
    MinimumEvents,
    Since,
    Site,
    Until,
    check_stdout,
    made_between,
)
from stroke.entrypoints.cli.terminal.output import opened, progress
from stroke.entrypoints.cli.terminal.performance_text import is_unfair, print_reports
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from stroke.application.quality.performance import PerformanceService
    from stroke.container.service import Container
    from stroke.domain.agreement import AgreementReport
    from stroke.domain.performance import PerformanceReport


@dataclass(frozen=True, slots=True)
class _Wanted:
    within: PredictionFilter
    model_version: str | None
    every_version: bool
    minimum_count: int
    minimum_events: int


def performance(
    *,
    since: Since = None,
    until: Until = None,
    site: Site = None,
    model_version: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="Only this model version.",
            show_default="the served one",
        ),
    ] = None,
    every_version: Annotated[
        bool, typer.Option("--all-versions", help="One report for each version that has outcomes.")
    ] = False,
    minimum_count: MinimumCount = 100,
    minimum_events: MinimumEvents = 10,
    fairness_limit: FairnessLimit = None,
    as_json: AsJson = False,
    html: Html = None,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until SIGTERM or Ctrl-C.")] = False,
    every: Annotated[
        float,
        typer.Option(
            min=1, metavar="SECONDS", help="With --watch: seconds between two measurements."
        ),
    ] = 3600,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="With --watch: serve Prometheus metrics here, at STROKE_HTTP_HOST.",
        ),
    ] = None,
) -> None:
    """Measure how right the model was, by predictions with a known outcome.

    AUC, sensitivity and specificity of the bands, Brier score, calibration slope and intercept,
    observed / expected, calibration error and decision curve, overall, by gender, age group,
    smoking status and site, with 95 % intervals; and the largest differences between the groups:
    equalised odds and calibration in the large. Small groups report only their size.
    docs/decisions/0041 says how each measure is computed, and when it counts as dropped.

    The exit code is 1 when a measure of STROKE_PERFORMANCE_WATCHED is worse than its reference
    by more than STROKE_PERFORMANCE_DROP, groups lie further apart than --fairness-limit, or there
    are too few patients to judge by it. With --watch, a metric reports it instead; a database that
    does not answer is reported and tried again.

    \b
    stroke performance
    stroke performance --since 2026-01-01 --json | jq '.reports[0].groups[0].measures.auc'
    stroke performance --html performance.html
    stroke performance --watch --every 3600 --port 9403
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    if model_version is not None and every_version:
        raise InvalidSetting("--model-version and --all-versions exclude each other")
    if port is not None and not watch:
        raise InvalidSetting("--port needs --watch: metrics are served while it goes on")
    check_stdout(html, as_json=as_json)
    wanted = _Wanted(
        made_between(since, until, site),
        model_version,
        every_version,
        minimum_count,
        minimum_events,
    )
    with ends_on_sigterm():
        if watch:
            _watch(wanted, every=every, port=port, html=html, as_json=as_json)
        reports, agreements = _judged(wanted, with_shadows=html is not None)
        _show(reports, agreements, html=html, as_json=as_json)
        unfair = is_unfair([gap for report in reports for gap in report.gaps], fairness_limit)
        if unfair or any(any(report.dropped.values()) for report in reports):
            raise typer.Exit(1)


def _judged(
    wanted: _Wanted, *, with_shadows: bool
) -> tuple[list[PerformanceReport], list[AgreementReport]]:
    import asyncio

    from stroke.container.quality import performance_service

    parts = _container()

    async def once() -> tuple[list[PerformanceReport], list[AgreementReport]]:
        try:
            reports = await _reports(parts, performance_service(parts), wanted)
            return reports, await _agreements(parts, wanted) if with_shadows else []
        finally:
            await parts.engine().dispose()

    return asyncio.run(once())


def _watch(
    wanted: _Wanted, *, every: float, port: int | None, html: Path | None, as_json: bool
) -> None:
    import asyncio

    from stroke.container.metrics import metrics_server
    from stroke.container.quality import performance_metrics, performance_service

    parts = _container()
    metrics = performance_metrics(parts)
    service = performance_service(parts)  # a model that cannot be loaded is said at once

    async def judged() -> tuple[list[PerformanceReport], list[AgreementReport]]:
        reports = await _reports(parts, service, wanted)
        return reports, await _agreements(parts, wanted) if html is not None else []

    def show(found: tuple[list[PerformanceReport], list[AgreementReport]]) -> None:
        reports, agreements = found
        metrics.show(reports)
        _show(reports, agreements, html=html, as_json=as_json)

    async def again() -> None:
        try:
            with metrics_server(parts.metrics_registry(), parts.settings().http, port):
                await regularly(judged, show, every=every)
        finally:
            await parts.engine().dispose()

    asyncio.run(again())


def _container() -> Container:
    from stroke.config import Settings
    from stroke.container.service import Container

    return Container(settings=Settings.load())


async def _reports(
    parts: Container, service: PerformanceService, wanted: _Wanted
) -> list[PerformanceReport]:
    from stroke.application.quality.performance import Minimums

    minimums = Minimums(wanted.minimum_count, wanted.minimum_events)
    await parts.repository().check()
    await parts.follower().look()  # the champion, if a model was promoted
    versions: Sequence[str | None] = [wanted.model_version]
    if wanted.every_version:
        versions = await service.versions(wanted.within) or [None]
    with progress() as display:
        bar = display.add_task("judging", total=None)
        return [
            await service.report(
                wanted.within,
                minimums=minimums,
                model_version=version,
                on_progress=lambda read: display.update(bar, completed=read),
            )
            for version in versions
        ]


async def _agreements(parts: Container, wanted: _Wanted) -> list[AgreementReport]:
    service = parts.agreement()
    return [await service.report(each, wanted.within) for each in await service.versions()]


def _show(
    reports: Sequence[PerformanceReport],
    agreements: Sequence[AgreementReport],
    *,
    html: Path | None,
    as_json: bool,
) -> None:
    if html is not None:
        from stroke.container.pages import performance_page

        page = performance_page(reports, agreements)
        with opened(html) as stream:
            stream.write(page.encode())
    if as_json or html is None:
        print_reports(reports, as_json=as_json)
