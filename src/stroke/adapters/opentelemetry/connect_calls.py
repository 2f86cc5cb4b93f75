"""Spans of the calls of Kafka Connect's REST API."""

from __future__ import annotations

import httpx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor, RequestInfo
from opentelemetry.trace import Span, TracerProvider


async def _name(span: Span, request: RequestInfo) -> None:
    # The paths are of connectors and their tasks: none is about a patient.
    if isinstance(request.url, httpx.URL):
        span.set_attribute("stroke.connect.request", request.url.path)


def trace_calls(provider: TracerProvider, client: httpx.AsyncClient) -> None:
    """Give each request of a ``client`` of Kafka Connect a span, and send its context along."""
    HTTPXClientInstrumentor.instrument_client(client, tracer_provider=provider, request_hook=_name)
