"""Settings of telemetry, under OpenTelemetry's own names where it has some."""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings import display, kinds
from workers.settings.variable import setting

_SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)


@dataclass(frozen=True, kw_only=True)
class TelemetrySettings:
    """Where traces go, and what is in them."""

    otel_enabled: bool | None = setting(
        "OTEL_ENABLED", None, kinds.BOOLEAN,
        "Send traces (OBSERVE.md). The service does not wait for a collector that is missing.",
        unset="true where OTEL_EXPORTER_OTLP_ENDPOINT is set",
    )
    otel_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT", None, kinds.url("http", "https"),
        "Address of the OpenTelemetry collector.",
        unset="http://localhost:4317, with http/protobuf http://localhost:4318",
    )
    otel_protocol: str = setting(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", kinds.choice("grpc", "http/protobuf"),
        "How the collector is spoken to.",
    )
    otel_headers: str | None = setting(
        "OTEL_EXPORTER_OTLP_HEADERS", None, kinds.TEXT,
        "Headers for the collector, such as its key: `name=value` with commas between them.",
        secret=True,
    )
    otel_service_name: str = setting(
        "OTEL_SERVICE_NAME", "inference-service", kinds.TEXT,
        "Name of the service in traces.",
    )
    otel_resource: str | None = setting(
        "OTEL_RESOURCE_ATTRIBUTES", None, kinds.TEXT,
        "What traces say of the service besides: `name=value` with commas between them.",
    )
    otel_sampler: str = setting(
        "OTEL_TRACES_SAMPLER", "parentbased_always_on", kinds.choice(*_SAMPLERS),
        "Which requests are traced; `parentbased`: where the caller's `traceparent` says nothing.",
    )
    otel_sampler_ratio: float | None = setting(
        "OTEL_TRACES_SAMPLER_ARG", None, kinds.number(0, 1),
        "The part of the requests that a sampler with `traceidratio` traces.",
        unset="1",
    )
    otel_content: bool = setting(
        "INFERENCE_OTEL_CONTENT", False, kinds.BOOLEAN,
        "Put messages and answers into traces. While false no text of a caller is in them.",
    )
    metrics_enabled: bool = setting(
        "INFERENCE_METRICS_ENABLED", True, kinds.BOOLEAN,
        "Count requests, tokens and times for `GET /metrics`. While false it shows only what Redis "
        "knows anyway: queues, workers, memory.",
    )
    metrics_port: int | None = setting(
        "INFERENCE_METRICS_PORT", None, kinds.integer(1, 65535),
        "Port at which a worker shows its own metrics, for those who scrape each process; where "
        "another has it, the next free one. `GET /metrics` has those of all.",
        unset="none",
    )
    metrics_host: str = setting(
        "INFERENCE_METRICS_HOST", "127.0.0.1", kinds.HOST,
        "Address at which INFERENCE_METRICS_PORT listens. No API key is asked for there.",
    )

    @property
    def sends_traces(self) -> bool:
        """Whether traces are sent."""
        return self.otel_endpoint is not None if self.otel_enabled is None else self.otel_enabled

    @property
    def otel_address(self) -> str:
        """The collector's address, as it may be shown."""
        port = 4317 if self.otel_protocol == "grpc" else 4318
        return display.mask_address(self.otel_endpoint or f"http://localhost:{port}")
