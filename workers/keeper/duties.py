"""The keeper's duties: each is a module of this folder, which registers it where it is defined."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from celery import Celery
from redis import Redis

from workers.metrics.process_metrics import ProcessMetrics
from workers.settings import Settings
from workers.store.leases import RECOVERY_GRACE_S


class Duty(Protocol):
    """Something to do again and again; raises `redis.RedisError` while Redis is away.

    A sweep is short and bounded: all duties share the keeper's thread. Two keepers may sweep at the
    same moment, so what is done twice does no harm.
    """

    def begin(self) -> None:
        """The keeper was elected just now, or Redis came back: nothing is known of before."""

    def sweep(self) -> None:
        """Do what is due."""


class RecoveryGrace:
    """No worker and no step is judged for a while after Redis or the keeper was away."""

    def __init__(self) -> None:
        self._ends_at = 0.0

    def begin(self) -> None:
        """Redis or the keeper is back."""
        self._ends_at = time.monotonic() + RECOVERY_GRACE_S

    def lasts(self) -> bool:
        """Whether it is too early to judge."""
        return time.monotonic() < self._ends_at


@dataclass(frozen=True, slots=True)
class Resources:
    """What a duty may be made from."""

    redis: Redis
    #: Sends messages.
    app: Celery
    settings: Settings
    #: Where duties count what they do.
    metrics: ProcessMetrics = field(default_factory=ProcessMetrics)


#: Makes a duty; None where the settings leave nothing to do.
Factory = Callable[[Resources], Duty | None]

_REGISTERED: dict[str, Factory] = {}


def register(factory: Factory) -> Factory:
    """Let the keeper have this duty; one for each module, the last one counts."""
    _REGISTERED[factory.__module__] = factory
    return factory


def make(resources: Resources) -> list[Duty]:
    """Every duty that is registered, in the order of their modules' names."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{module.name}")
    duties = (_REGISTERED[name](resources) for name in sorted(_REGISTERED))
    return [duty for duty in duties if duty is not None]
