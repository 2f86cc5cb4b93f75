"""The metrics of a command that keeps running."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from prometheus_client import CollectorRegistry

from stroke.adapters.prometheus.pipeline import serve_metrics
from stroke.config import HttpSettings


def metrics_server(
    registry: CollectorRegistry, http: HttpSettings, port: int | None
) -> AbstractContextManager[int | None]:
    """Return what answers GET /metrics on the service's host while its block runs.

    It gives the port, a free one for 0; with None nothing is served. Raises ``InvalidSetting``
    where the port is taken.
    """
    if port is None:
        return nullcontext()
    return serve_metrics(registry, host=http.host, port=port)
