"""The application factory: wires routes, errors and metrics to the container's parts."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from stroke import __version__
from stroke.application.models.guards import Breach
from stroke.application.predictions.deployed import Deployed
from stroke.config import Settings
from stroke.container.cards import ModelCards
from stroke.container.configured import names_pipeline
from stroke.container.deployments import take_back
from stroke.container.failures import FailureLog, kept_up
from stroke.container.models import listed_models
from stroke.container.quality import insights_service, performance_service
from stroke.container.service import Container
from stroke.domain.errors import StoreUnavailable
from stroke.entrypoints.api import (
    audit,
    causes,
    deployments,
    docs,
    erasures,
    fhir,
    fhir_operation,
    hooks,
    inference,
    metrics,
    model_cards,
    openapi,
    outcomes,
    predictions,
    problems,
    records,
    service,
    what_if,
)
from stroke.entrypoints.api.access import GuardedRoute
from stroke.entrypoints.api.admission import Admission
from stroke.entrypoints.api.causes import CauseLog
from stroke.entrypoints.api.deadline import Deadline
from stroke.entrypoints.api.envelope import Envelope
from stroke.entrypoints.api.faults import FaultBarrier
from stroke.entrypoints.api.fhir_format import JsonOnly
from stroke.entrypoints.api.head import HeadAsGet
from stroke.entrypoints.api.hosts import AllowedHosts, OwnHosts
from stroke.entrypoints.api.operation_outcomes import FHIR_JSON, outcome_of
from stroke.entrypoints.api.origins import Origins
from stroke.entrypoints.api.pages import (
    batch,
    calculator,
    files,
    history,
    insights,
    model,
    platform,
    sign_in,
)
from stroke.entrypoints.api.pages.problems import PagesOfProblems
from stroke.entrypoints.api.paths import FHIR, HOOKS
from stroke.entrypoints.api.probes import PROBES
from stroke.entrypoints.api.proxies import BehindProxies
from stroke.entrypoints.api.rates import RateLimit, Rates, by_address
from stroke.entrypoints.api.schemas.inference import InferenceErrorOut
from stroke.entrypoints.api.shortcut import Shortcut
from stroke.entrypoints.api.state import KEY, REFUSED, ApiState
from stroke.entrypoints.api.turned_problems import TurnedProblems
from stroke.entrypoints.api.turnstile import Turnstile
from stroke.entrypoints.logs import outline
from stroke.entrypoints.ui.languages import languages

_DESCRIPTION: Final = (
    "A patient's measurements in; a calibrated, explained, durable stroke risk out. "
    "Every error is a problem document (RFC 9457), but for those of the Open Inference Protocol."
)
_log = logging.getLogger("stroke.api")


def create_app(container: Container | None = None) -> FastAPI:
    """Return the application; without a ``container``, one of the environment's settings.

    Raises ``InvalidSetting`` for those. The model is loaded when the application starts, which
    fails with a ``ModelError`` if it cannot be; when it stops, predictions that wait are stored
    and answered first.
    """
    parts = container or Container(settings=Settings.load())
    app = FastAPI(
        title="Stroke Prediction API",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_telemetry(parts),
        lifespan=_lifespan(parts, metrics.Refusals(parts.metrics_registry())),
        # Flat, and predictions first: each included router is matched three times per request.
        routes=[
            *predictions.router.routes,
            *what_if.router.routes,
            *service.router.routes,
            *model_cards.router.routes,
            *deployments.router.routes,
            *records.router.routes,
            *outcomes.router.routes,
            *audit.router.routes,
            *erasures.router.routes,
            *calculator.router.routes,
            *batch.router.routes,
            *history.router.routes,
            *insights.router.routes,
            *model.router.routes,
            *platform.router.routes,
            *files.router.routes,
            *sign_in.router.routes,
            *hooks.router.routes,
            *fhir.router.routes,
            *fhir_operation.router.routes,
            *fhir_operation.operation.routes,
            *inference.router.routes,
        ],
    )
    app.router.route_class = GuardedRoute
    app.state.catalogues = parts.settings().ui.catalogues
    if app.state.catalogues is not None:
        languages(app.state.catalogues)  # what is wrong with them is said at the start
    app.state.shows_platform = names_pipeline(parts.settings())
    app.state.sign_in_attempts = sign_in.Attempts(parts.settings().session.sign_in_rate)
    http = parts.settings().http
    logged = CauseLog(http.log_seconds)
    causes.install(app, logged)
    problems.install(app)
    openapi.install(
        app,
        lambda: parts.serving().now.may_be_missing,
        lambda: parts.callers().was_open,
        parts.settings().oidc.issuer,
        lambda: parts.serving().now.champion.description.further,
        errors={inference.BASE: InferenceErrorOut},
    )
    docs.install(app)
    # The last one added is the outermost.
    if parts.tracing() is None:  # FastAPI's router names the route of a span
        app.add_middleware(Shortcut, routes=app.routes)
    app.add_middleware(Deadline, seconds=http.request_seconds, causes=logged)
    app.add_middleware(Turnstile)
    if (rates := Rates.of(address=parts.settings().rate.per_address)) is not None:
        app.add_middleware(RateLimit, rates=rates, names=by_address)
    if http.allowed_hosts:
        app.add_middleware(AllowedHosts, allowed=http.allowed_hosts)
    else:
        app.add_middleware(OwnHosts, is_open=lambda: parts.callers().is_open())
    app.add_middleware(JsonOnly)
    app.add_middleware(FaultBarrier)
    of_hooks = parts.settings().clinical.cors_origins
    if http.cors_origins or of_hooks:
        app.add_middleware(Origins, everywhere=http.cors_origins, hooks=of_hooks)
    metrics.instrument(
        app,
        parts.metrics_registry(),
        lambda: parts.predictions().queue_depth,
        of_all_workers=parts.drift_metrics(),
    )
    app.add_middleware(TurnedProblems, paths=(FHIR, HOOKS), media_type=FHIR_JSON, turn=outcome_of)
    app.add_middleware(
        TurnedProblems,
        paths=(inference.BASE,),
        media_type="application/json",
        turn=inference.error_of,
    )
    app.add_middleware(PagesOfProblems)
    app.add_middleware(HeadAsGet)
    if http.root_path or http.trusted_proxies:
        app.add_middleware(BehindProxies, root_path=http.root_path, trusted=http.trusted_networks)
    app.add_middleware(Envelope)
    return app


def _telemetry(parts: Container) -> TelemetryConfig:
    """Return what FastAPI's own OpenTelemetry may do: spans of requests, where somebody wants them.

    No logs, which hold exceptions' messages, and no metrics: /metrics has them.
    """
    tracing = parts.tracing()
    return TelemetryConfig(
        tracing=tracing is not None,
        tracer_provider=tracing.provider if tracing else None,
        operation_spans=False,
        metrics=False,
        logs=False,
        auto_configure=False,
        exclude=lambda scope: scope.get("path") in PROBES,
    )


def _lifespan(parts: Container, refusals: metrics.Refusals) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, object]]:
        asyncio.get_running_loop().set_exception_handler(_log_outline)
        predictions = parts.predictions()  # loads the model
        parts.swapped()(parts.serving().now)
        # A service whose database is away starts, and asks again with the first request.
        with suppress(StoreUnavailable):
            await parts.callers().is_open()
        with suppress(StoreUnavailable):
            await parts.follower().look()
        following = asyncio.create_task(_follow(parts))
        judging = asyncio.create_task(_judge(parts))
        erasing = _erasing(parts)
        try:
            with _collector_at_ease():
                yield {
                    KEY: _state(parts),
                    REFUSED: refusals,
                }
        finally:
            background = {following, judging} | ({erasing} if erasing is not None else set())
            for task in background:
                task.cancel()
            await asyncio.wait(background)
            await predictions.close()
            await asyncio.to_thread(parts.shadows().close)
            await parts.notices().close()
            with suppress(StoreUnavailable):
                await parts.audit().close()
            await parts.engine().dispose()
            if (tracing := parts.tracing()) is not None:
                await asyncio.to_thread(tracing.close)

    return lifespan


def _erasing(parts: Container) -> asyncio.Task[None] | None:
    """Begin to carry out erasures that were asked for, where this is the service's task."""
    worker, seconds = parts.erasure_worker(), parts.settings().erasure.poll_seconds
    if worker is None:
        return None
    return asyncio.create_task(
        kept_up(
            "erasing what was asked for",
            lambda: worker.work(lambda: parts.erasures().wait(seconds)),
            FailureLog(_log, parts.settings().http.log_seconds),
        )
    )


async def _follow(parts: Container) -> None:
    """Serve what the database says is to be served, as long as the service runs."""
    seconds, failures = parts.settings().model.poll_seconds, parts.model_failures()

    async def pause() -> None:
        await asyncio.sleep(seconds)
        try:
            deployed = parts.serving().now
            await _take_back(parts, parts.canary_guard().breach(), deployed)
        except StoreUnavailable as error:
            failures.note("the canary cannot be taken back", error)

    await kept_up("following the deployment", lambda: parts.follower().follow(pause), failures)


async def _judge(parts: Container) -> None:
    """Judge a canary by what all workers have stored, where it is this one's turn.

    Apart from `_follow`: to read many outcomes takes longer than a worker may lag behind.
    """
    guard, seconds = parts.shared_guard(), parts.settings().canary.look_seconds

    async def look() -> None:
        await asyncio.sleep(seconds)
        deployed = parts.serving().now
        await _take_back(parts, await guard.breach(deployed), deployed)

    await kept_up("judging the canary", look, parts.model_failures())


async def _take_back(parts: Container, breach: Breach | None, deployed: Deployed) -> None:
    await take_back(breach, deployed, parts.deployments(), parts.canary_metrics(), parts.notices())


def _state(parts: Container) -> ApiState:
    http, queue = parts.settings().http, parts.settings().queue
    rate = parts.settings().rate
    predictions = parts.predictions()
    return ApiState(
        predictions,
        parts.outcomes(),
        Admission(
            # As many as the queue takes: whoever is let in is not refused by the queue.
            requests=queue.capacity,
            rows=http.max_rows_in_flight,
            most_bytes=http.max_bytes_in_flight,
            seconds=min(http.admission_seconds, http.request_seconds),
        ),
        http.max_body_bytes,
        min(http.max_patient_bytes, http.max_body_bytes),
        parts.callers(),
        parts.settings().access.insecure,
        parts.audit(),
        parts.erasures(),
        Rates.of(key=rate.per_key, site=rate.per_site),
        parts.settings().model.refuse_outside,
        parts.settings().model.change_all_sites,
        insights=insights_service(parts),
        performance=performance_service(parts),
        sessions=parts.sessions(),
        hospital=parts.hospital(),
        code_book=parts.code_book(),
        clinical=parts.settings().clinical,
        cds_clients=parts.cds_clients(),
        browser_sign_in=parts.browser_sign_in(),
        sign_in_seconds=parts.settings().oidc.sign_in_seconds,
        reports=parts.report_board(),
        cards=ModelCards(parts.served, parts.settings().model),
        deployments=parts.deployments(),
        follower=parts.follower(),
        agreement=parts.agreement(),
        shown=parts.settings().shadow.shown,
        models=partial(listed_models, parts.settings().model),
    )


@contextmanager
def _collector_at_ease() -> Iterator[None]:
    """Keep Python's cycle collector from taking a third of every request's time.

    Half a million objects of libraries are here to stay: they need no more walks. A walk over the
    young ones starts when more were made than freed. A commit of 512 requests frees their 70,000
    objects together, and the next 512 requests make as many: that must start none.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _log_outline(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # asyncio's own handler would print the exception, and with it perhaps a patient's values.
    error = context.get("exception")
    _log.error("event loop: %s", outline(error) if error else context.get("message"))
