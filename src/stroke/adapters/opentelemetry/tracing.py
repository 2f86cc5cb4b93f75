"""Tracing: spans of requests, commits, statements and calls of Kafka Connect, sent by OTLP."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke import __version__
from stroke.adapters.opentelemetry.private_export import PrivateExport

_PATH: Final = "/v1/traces"
# A collector that is away is given up after this long, so that the end of the process is, too.
_EXPORT_SECONDS: Final = 3


class Tracing:
    """Sends spans to the collector at ``endpoint`` (its base address), in the background.

    The sampler, and more of the resource than ``service_name``, are set by OpenTelemetry's own
    variables (``OTEL_TRACES_SAMPLER``, ``OTEL_RESOURCE_ATTRIBUTES``).
    """

    def __init__(self, endpoint: str, *, service_name: str) -> None:
        # It logs each attempt; ``PrivateExport`` logs once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH, timeout=_EXPORT_SECONDS)
        self.provider = TracerProvider(
            resource=Resource.create({SERVICE_NAME: service_name, SERVICE_VERSION: __version__})
        )
        self.provider.add_span_processor(BatchSpanProcessor(PrivateExport(exporter)))
        self._tracer = self.provider.get_tracer("stroke", __version__)

    def trace_statements(self, engine: AsyncEngine) -> None:
        """Give each statement that ``engine`` runs a span with its first word, and no more of it.

        OpenTelemetry's own instrumentation of SQLAlchemy is for versions before 2.1, and wraps
        the functions that make engines, of everybody.
        """
        system = engine.dialect.name

        def begin(
            _connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool
        ) -> None:
            operation = statement.lstrip().partition(" ")[0].upper()
            context.span = self._tracer.start_span(
                operation,
                kind=SpanKind.CLIENT,
                attributes={"db.system.name": system, "db.operation.name": operation},
            )

        def end(
            _connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool
        ) -> None:
            context.span.end()

        def fail(failure: ExceptionContext) -> None:
            span: Span | None = getattr(failure.execution_context, "span", None)
            if span is not None:
                span.set_attribute("error.type", type(failure.original_exception).__qualname__)
                span.set_status(StatusCode.ERROR)
                span.end()

        event.listen(engine.sync_engine, "before_cursor_execute", begin)
        event.listen(engine.sync_engine, "after_cursor_execute", end)
        event.listen(engine.sync_engine, "handle_error", fail)

    @contextmanager
    def commit(self, callers: Sequence[Context]) -> Iterator[None]:
        """Give the commit within the block a span: the scoring of its patients and the INSERT.

        It belongs to the trace of the first of its ``callers`` that is recorded, and is linked
        with the requests of all others, to and fro.
        """
        spans = [caller.run(trace.get_current_span) for caller in callers]
        first = next((span for span in spans if span.is_recording()), spans[0])
        others = [span for span in spans if span is not first and span.is_recording()]
        commit = self._tracer.start_span(
            "commit predictions",
            context=trace.set_span_in_context(first),
            kind=SpanKind.INTERNAL,
            links=[Link(span.get_span_context()) for span in others],
            attributes={
                "db.collection.name": "predictions",
                "db.operation.name": "INSERT",
                "db.operation.batch.size": len(callers),
            },
        )
        for span in others:
            span.add_link(commit.get_span_context())
        with trace.use_span(
            commit, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            try:
                yield
            except BaseException as error:
                commit.set_attribute("error.type", type(error).__qualname__)
                commit.set_status(StatusCode.ERROR)
                raise

    def close(self) -> None:
        """Send what is left, for some seconds at most; nothing is sent afterwards."""
        self.provider.shutdown()
