from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from stroke.adapters.opentelemetry.private_export import PrivateExport

CANARY = "Canary Q. Patient"


class Kept(SpanExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


def test_nothing_of_a_span_leaves_but_what_is_listed() -> None:
    kept, provider = Kept(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(PrivateExport(kept)))
    caller = NonRecordingSpan(
        SpanContext(
            1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("v", CANARY)])
        )
    )
    with provider.get_tracer("library").start_as_current_span(
        f"GET /patients/{CANARY}",
        context=set_span_in_context(caller),
        attributes={"http.request.method": "GET", "url.path": f"/{CANARY}", "url.query": CANARY},
    ) as span:
        span.set_attributes({"db.statement": f"SELECT '{CANARY}'", CANARY: 1})
        span.add_link(caller.get_span_context(), {"of": CANARY})
        span.record_exception(ValueError(CANARY))
        span.set_status(StatusCode.ERROR, CANARY)

    [left] = kept.spans
    assert CANARY not in left.to_json()
    assert CANARY not in repr([left.context, left.parent, left.links, left.status.description])
    assert (left.name, left.attributes) == ("GET", {"http.request.method": "GET"})
    assert left.events[0].attributes == {"exception.type": "ValueError"}
    assert left.parent is not None
    assert left.parent.span_id == caller.get_span_context().span_id
