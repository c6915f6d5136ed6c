"""OpenTelemetry's SDK: makes its spans of ours, and sends them.

The SDK and its exporters read their own variables from the environment (`OTEL_BSP_*`,
`OTEL_EXPORTER_OTLP_TRACES_*`, `OTEL_SPAN_*`, ...), beside those that are settings.
"""

from __future__ import annotations

import contextvars
import logging
import os
import socket
from collections.abc import Mapping, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from presets.installation import version
from workers.contract.trace_context import TraceContext
from workers.settings import Settings, display
from workers.settings.table import variables
from workers.settings.telemetry import TelemetrySettings
from workers.tracing.recording import OnExport
from workers.tracing.span import Attribute, Span

log = logging.getLogger(__name__)

#: The id of the span that is being made; None: a random one.
_next_id: contextvars.ContextVar[int | None] = contextvars.ContextVar("next_id", default=None)


class SdkRecorder:
    """Spans of this process for a collector."""

    def __init__(self, settings: Settings, process: str, on_export: OnExport) -> None:
        """Raises what the SDK raises for variables that it reads itself."""
        _export(settings)
        self._collector = _Collector(settings, on_export)
        resource = Resource.create(
            {
                "service.version": version(),
                "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
                "inference.process": process,
            }
        )
        self._provider = TracerProvider(
            resource=resource, id_generator=_Ids(), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._collector))
        self._tracer = self._provider.get_tracer("inference-service", version())

    def record(self, span: Span) -> None:
        """Take a span that has ended."""
        made_with = _next_id.set(int(span.id, 16))
        try:
            made = self._tracer.start_span(
                span.name,
                _under(span.parent),
                SpanKind[span.kind.value],
                span.attributes,
                [Link(_context(span.parent.child(each))) for each in span.after],
                start_time=span.began_ns,
            )
        finally:
            _next_id.reset(made_with)
        if span.error:
            made.set_attribute("error.type", span.error)
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(max(span.began_ns, span.ended_ns))

    def begin(
        self, name: str, parent: TraceContext | None, attributes: Mapping[str, Attribute]
    ) -> _OpenSpan:
        """Begin the span of a request."""
        within = Context() if parent is None else _under(parent)
        return _OpenSpan(self._tracer.start_span(name, within, SpanKind.SERVER, attributes))

    def stop(self) -> None:
        """Send what there is."""
        self._provider.shutdown()


class _OpenSpan:
    """The span of a request that is answered."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        made = span.get_span_context()
        self.context = TraceContext(
            f"{made.trace_id:032x}",
            f"{made.span_id:016x}",
            made.trace_flags.sampled,
            made.trace_state.to_header(),
        )

    def end(self, attributes: Mapping[str, Attribute], error: str) -> None:
        """The request has its whole answer."""
        self._span.set_attributes(attributes)
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end()


class _Ids(RandomIdGenerator):
    """Gives a span the id that follows from what it is about."""

    def generate_span_id(self) -> int:
        """See `_next_id`."""
        return _next_id.get() or super().generate_span_id()


class _Collector(SpanExporter):
    """Sends spans to the collector; says once that they do not arrive, and once that they do again.

    The exporters' own lines, several for each attempt, are not shown: the last is the reason.
    """

    def __init__(self, settings: Settings, on_export: OnExport) -> None:
        self._on_export = on_export
        self._exporter = _exporter(settings.otel_protocol)
        self._address = settings.otel_address
        self._arrive = True
        self._reason = _LastMessage()
        spoken = logging.getLogger("opentelemetry")
        spoken.addHandler(self._reason)
        spoken.propagate = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; called by the thread that sends, and by no other."""
        result = self._exporter.export(spans)
        arrive = result is SpanExportResult.SUCCESS
        self._on_export(len(spans), arrive)
        if self._arrive and not arrive:
            log.warning(
                "traces do not reach the collector at %s and are dropped: %s",
                self._address,
                self._reason.text,
            )
        elif arrive and not self._arrive:
            log.info("traces reach the collector at %s again", self._address)
        self._arrive = arrive
        return result

    def shutdown(self) -> None:
        """Send nothing any longer."""
        self._exporter.shutdown()


class _LastMessage(logging.Handler):
    """Keeps what was logged last."""

    text = "no reason is known"

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, where it is more than a hint."""
        if record.levelno >= logging.WARNING:
            self.text = record.getMessage()[:300]


def _export(settings: Settings) -> None:
    """Let the SDK find the settings that it reads itself, also those of a `.env` file."""
    for name, variable, _ in variables(TelemetrySettings):
        if variable.name.startswith("OTEL_") and settings.sources.get(name) == ".env":
            os.environ.setdefault(variable.name, display.show(getattr(settings, name)))
    os.environ.setdefault("OTEL_SERVICE_NAME", settings.otel_service_name)


def _exporter(protocol: str) -> SpanExporter:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as over_grpc

        return over_grpc.OTLPSpanExporter()
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as over_http

    return over_http.OTLPSpanExporter()


def _under(parent: TraceContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(_context(parent)), Context())


def _context(span: TraceContext) -> SpanContext:
    return SpanContext(
        int(span.trace_id, 16),
        int(span.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if span.sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([span.state]),
    )
