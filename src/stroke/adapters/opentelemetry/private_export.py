"""What leaves the process of a span: what is known to be of no patient, and nothing else.

The libraries that make spans record addresses, query strings, statements and exceptions' texts, and
add to that with each release. So what may leave is listed, not what may not.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, Status
from opentelemetry.util.types import AnyValue

ALLOWED: Final = frozenset(
    {
        "db.collection.name",
        "db.operation.batch.size",
        "db.operation.name",
        "db.system.name",
        "error.type",
        "exception.type",
        "http.method",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "http.status_code",
        "network.protocol.version",
        "stroke.connect.request",
        "stroke.request_id",
        "url.scheme",
    }
)
"""Attributes that may leave. A path, a query, a statement or a client's header is none of them."""

_METHODS: Final = ("http.request.method", "http.method")
_log = logging.getLogger("stroke.traces")


class PrivateExport(SpanExporter):
    """Hands the spans to ``exporter``, each reduced to what ``ALLOWED`` names.

    Says once in the log that they do not arrive, and once that they do again.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._arrives = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what is left of the spans; a failure loses them and disturbs nobody."""
        try:
            result = self._exporter.export([reduced(span) for span in spans])
        except Exception:  # noqa: BLE001 -- whatever it is, no request may suffer from it
            result = SpanExportResult.FAILURE
        arrives = result is SpanExportResult.SUCCESS
        if arrives != self._arrives:
            self._arrives = arrives
            if arrives:
                _log.info("traces reach the collector again")
            else:
                _log.warning("traces do not reach the collector: spans are lost until they do")
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return whether nothing is left to send."""
        return self._exporter.force_flush(timeout_millis)


def reduced(span: ReadableSpan) -> ReadableSpan:
    """Return the span without anything that might be of a patient."""
    attributes = _allowed(span.attributes)
    return ReadableSpan(
        name=_name(span.name, attributes),
        context=_bare(span.get_span_context()),
        parent=_bare(span.parent),
        resource=span.resource,
        attributes=attributes,
        events=[Event(e.name, _allowed(e.attributes), e.timestamp) for e in span.events],
        links=[Link(_known(link.context)) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _allowed(attributes: Mapping[str, AnyValue] | None) -> dict[str, AnyValue]:
    return {key: value for key, value in (attributes or {}).items() if key in ALLOWED}


def _name(name: str, attributes: Mapping[str, AnyValue]) -> str:
    """Return a name made of what is allowed: a library may put a path or a statement into one."""
    if (method := next(filter(None, map(attributes.get, _METHODS)), None)) is not None:
        what = attributes.get("http.route") or attributes.get("stroke.connect.request") or ""
        return f"{method} {what}".rstrip()
    return name


def _bare(context: SpanContext | None) -> SpanContext | None:
    return None if context is None else _known(context)


def _known(context: SpanContext) -> SpanContext:
    """Return the context without its state, which is a client's text."""
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)
