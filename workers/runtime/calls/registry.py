"""The calls that workers take: each is a module of this folder, which registers it."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis

from workers.engines.base import LoadedModel


@dataclass(frozen=True, slots=True)
class CallResources:
    """What calls are answered with."""

    #: The worker's engine, loaded.
    engine: LoadedModel
    redis: Redis


#: Answers a call: a JSON-ready object for a JSON object. It may run on several threads at once, and
#: takes nothing of the body for granted. An `InferenceError` is the answer, too.
Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]
#: Makes a handler; None where the engine is not of the kind that answers such calls.
Factory = Callable[[CallResources], Handler | None]

_REGISTERED: dict[str, Factory] = {}


def register(name: str, factory: Factory) -> None:
    """Let workers take calls of this name; of two with one name the last one counts."""
    _REGISTERED[name] = factory


def handlers(resources: CallResources) -> Mapping[str, Handler]:
    """What answers the calls that a worker with this engine takes, by their names."""
    _import_modules()
    made = {name: factory(resources) for name, factory in sorted(_REGISTERED.items())}
    return {name: handler for name, handler in made.items() if handler is not None}


@functools.cache
def _import_modules() -> None:
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{module.name}")
