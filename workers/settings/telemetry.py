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
        "Send traces and metrics. Nothing waits for a collector that is not there.",
        used_from=_TELEMETRY,
    )
    otel_endpoint: str = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317", kinds.url("http", "https"),
        "The OpenTelemetry collector.",
        used_from=_TELEMETRY,
    )
    otel_service_name: str = setting(
        "OTEL_SERVICE_NAME", "inference-service", kinds.TEXT,
        "The service's name in traces and metrics.",
        used_from=_TELEMETRY,
    )
