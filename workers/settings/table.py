"""The settings of all subjects together, and what follows from them."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.settings.bounds import BoundsSettings
from workers.settings.client import ClientSettings
from workers.settings.front_end import FrontEndSettings
from workers.settings.logs import LogSettings
from workers.settings.models import ModelSettings
from workers.settings.orchestration import OrchestrationSettings
from workers.settings.queueing import LEAST_CONCURRENT_REQUESTS, QueueSettings
from workers.settings.state import StateSettings
from workers.settings.telemetry import TelemetrySettings
from workers.settings.variable import Variable
from workers.settings.webhooks import WebhookSettings

#: Heading -> the settings below it, in the order in which they are shown.
SUBJECTS: dict[str, type] = {
    "Front end": FrontEndSettings,
    "Bounds": BoundsSettings,
    "State": StateSettings,
    "Models": ModelSettings,
    "Queues": QueueSettings,
    "Webhooks": WebhookSettings,
    "Orchestration": OrchestrationSettings,
    "Logs": LogSettings,
    "Telemetry": TelemetrySettings,
    "Command line": ClientSettings,
}


# The bases in reverse: a dataclass takes the fields of its last base first.
@dataclass(frozen=True, kw_only=True)
class Settings(
    ClientSettings,
    TelemetrySettings,
    LogSettings,
    OrchestrationSettings,
    WebhookSettings,
    QueueSettings,
    ModelSettings,
    StateSettings,
    BoundsSettings,
    FrontEndSettings,
):
    """Everything an operator can set, validated. None means: not set."""

    #: Field name -> where its value came from: `default`, `environment` or `.env`.
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def keys_file(self) -> Path:
        """Where `inference-service keys` keeps the hashes of keys."""
        return self.data_dir / "api_keys.json"

    @property
    def has_keys(self) -> bool:
        """Whether callers need a key.

        A file without a key in it counts: revoking the last key must not open the service.
        """
        return bool(self.api_keys or self.admin_keys) or self.keys_file.exists()

    @property
    def effective_host(self) -> str:
        """The address to listen on."""
        # Open to the network only where callers need keys.
        return self.host or ("0.0.0.0" if self.has_keys else "127.0.0.1")  # nosec B104

    @property
    def bind(self) -> str:
        """Address and port as servers take them; an IPv6 address stands in brackets."""
        return _bind(self.effective_host, self.port)

    @property
    def flower_bind(self) -> str:
        """The same of Flower."""
        return _bind(self.flower_host, self.flower_port)

    @property
    def is_open(self) -> bool:
        """Whether others than this machine can reach the service."""
        return not _is_loopback(self.effective_host)

    @property
    def flower_is_open(self) -> bool:
        """Whether others than this machine can reach Flower."""
        return not _is_loopback(self.flower_host)

    @property
    def effective_queue_strategy(self) -> str:
        """`priority` or `fifo`."""
        if self.queue_strategy is not None:
            return self.queue_strategy
        return "fifo" if self.priority_enabled is False else "priority"

    def effective_max_concurrent_requests(self, models_concurrency: int) -> int:
        """Synchronous requests that may be open at once.

        `models_concurrency` is what all models together answer at once.
        """
        if self.max_concurrent_requests is not None:
            return self.max_concurrent_requests
        return max(LEAST_CONCURRENT_REQUESTS, 2 * models_concurrency)


def _bind(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def variables(subject: type = Settings) -> Iterator[tuple[str, Variable, Any]]:
    """Field name, variable and default of every setting of a subject, in the table's order."""
    for entry in dataclasses.fields(subject):
        if "variable" in entry.metadata:
            yield entry.name, entry.metadata["variable"], entry.default
