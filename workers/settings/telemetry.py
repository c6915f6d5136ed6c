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
