"""Settings of telemetry, under OpenTelemetry's own names where it has some."""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings import kinds
from workers.settings.variable import setting

_TELEMETRY = "traces and metrics"


@dataclass(frozen=True, kw_only=True)
class TelemetrySettings:
    """Where traces and metrics go."""

    otel_enabled: bool = setting(
        "OTEL_ENABLED", True, kinds.BOOLEAN,
        "Send traces and metrics. The service does not wait for a collector that is missing.",
        used_from=_TELEMETRY,
    )
    otel_endpoint: str = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317", kinds.url("http", "https"),
        "Address of the OpenTelemetry collector.",
        used_from=_TELEMETRY,
    )
    otel_service_name: str = setting(
        "OTEL_SERVICE_NAME", "inference-service", kinds.TEXT,
        "Name of the service in traces and metrics.",
        used_from=_TELEMETRY,
    )
    metrics_enabled: bool = setting(
        "INFERENCE_METRICS_ENABLED", True, kinds.BOOLEAN,
        "Count requests, tokens and times for `GET /metrics`. While false it shows only what Redis "
        "knows anyway: queues, workers, memory.",
    )
    metrics_port: int | None = setting(
        "INFERENCE_METRICS_PORT", None, kinds.integer(1, 65535),
        "Port at which a worker shows its own metrics, for those who scrape each process. "
        "`GET /metrics` has those of all.",
        unset="none",
    )
    metrics_host: str = setting(
        "INFERENCE_METRICS_HOST", "127.0.0.1", kinds.HOST,
        "Address at which INFERENCE_METRICS_PORT listens. No API key is asked for there.",
    )
