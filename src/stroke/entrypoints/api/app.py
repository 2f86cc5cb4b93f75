"""The application factory: wires routes, errors and metrics to the container's parts."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from fastapi import FastAPI

from stroke import __version__
from stroke.config import Settings
from stroke.container.service import Container
from stroke.entrypoints.api import (
    docs,
    metrics,
    openapi,
    outcomes,
    predictions,
    problems,
    records,
    service,
)
from stroke.entrypoints.api.faults import FaultBarrier
from stroke.entrypoints.api.head import HeadAsGet
from stroke.entrypoints.api.state import KEY, ApiState
from stroke.entrypoints.logs import outline

_DESCRIPTION: Final = (
    "A patient's measurements in; a calibrated, explained, durable stroke risk out. "
    "Every error is a problem document (RFC 9457)."
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
        # FastAPI's own OpenTelemetry would hand request bodies to exporters.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=_lifespan(parts),
        # Flat, and predictions first: each included router is matched three times per request.
        routes=[
            *predictions.router.routes,
            *service.router.routes,
            *records.router.routes,
            *outcomes.router.routes,
        ],
    )
    problems.install(app)
    openapi.install(app)
    docs.install(app)
    # The last one added is the outermost.
    app.add_middleware(FaultBarrier)
    metrics.instrument(app, parts.metrics_registry(), lambda: parts.predictions().queue_depth)
    app.add_middleware(HeadAsGet)
    return app


def _lifespan(parts: Container) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, ApiState]]:
        asyncio.get_running_loop().set_exception_handler(_log_outline)
        predictions = parts.predictions()  # loads the model
        try:
            with _collector_at_ease():
                yield {
                    KEY: ApiState(
                        predictions, parts.outcomes(), parts.settings().http.max_body_bytes
                    )
                }
        finally:
            await predictions.close()
            await parts.engine().dispose()

    return lifespan


@contextmanager
def _collector_at_ease() -> Iterator[None]:
    """Keep Python's cycle collector from taking a third of every request's time.

    Half a million objects of libraries are here to stay: they need no more walks. And a batch of
    requests alone allocates more than the 700 objects that start a walk over the young ones.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _log_outline(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # asyncio's own handler would print the exception, and with it perhaps a patient's values.
    error = context.get("exception")
    _log.error("event loop: %s", outline(error) if error else context.get("message"))
