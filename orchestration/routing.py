"""Which model a request means."""

from __future__ import annotations

from presets.catalogue import Catalogue, UnknownModel
from presets.model import ModelSpec
from workers.contract.errors import (
    InferenceError,
    ModelLoading,
    ModelNotFound,
    NoWorker,
)
from workers.presence import Directory, WorkerStatus
from workers.settings import Settings

#: What a request says instead of a model that any may answer it.
AUTO = "auto"
#: Prefixes under which gateways name our models.
PREFIXES = ("inference:", "local:")


def bare(name: str) -> str:
    """A model's name without the prefix of a gateway."""
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def resolve(name: str, catalogue: Catalogue) -> ModelSpec:
    """The model a caller names, with or without a gateway's prefix.

    Raises:
        ModelNotFound: there is none; suggests the nearest.
    """
    name = bare(name)
    try:
        return catalogue.get(name)
    except UnknownModel as unknown:
        details = {"model": name, "suggestion": unknown.suggestion, "param": "model"}
        hint = f" Did you mean {unknown.suggestion!r}?" if unknown.suggestion else ""
        raise ModelNotFound(
            f"There is no model {name!r}.{hint} GET /v1/models lists them.", details=details
        ) from None


def configured(
    settings: Settings, catalogue: Catalogue, directory: Directory
) -> tuple[ModelSpec, ...]:
    """Models that the service is to serve, and those that somebody started beside them.

    Raises:
        redis.RedisError: Redis is away.
    """
    wanted = catalogue.wanted(settings.preload_models, settings.config)
    running = [worker.model for worker in directory.workers() if worker.model]
    known = [catalogue.get(name) for name in (*wanted, *running) if catalogue.has(name)]
    return tuple({spec.id: spec for spec in known}.values())


def require_worker(spec: ModelSpec, directory: Directory) -> None:
    """Refuse a request that no live worker would take.

    Raises:
        ModelLoading: a worker is loading the model.
        ModelLoadFailed: its workers could not load it; says why.
        NoWorker: there is no worker of it.
        redis.RedisError: Redis is away.
    """
    workers = [worker for worker in directory.workers() if worker.model == spec.id]
    by_status = {worker.status: worker for worker in workers}
    details = {"model": spec.id}
    if WorkerStatus.LOADED in by_status:
        return
    if loading := by_status.get(WorkerStatus.LOADING):
        raise ModelLoading(
            f"{spec.id} is being loaded ({loading.progress:.0%}). Try again in a moment.",
            details={**details, "progress": loading.progress},
        )
    if (failed := by_status.get(WorkerStatus.FAILED)) and failed.error:
        reason = InferenceError.from_dict(failed.error)
        raise type(reason)(
            f"{spec.id} could not be loaded: {reason.message}",
            details={**reason.details, **details},
        )
    raise NoWorker(
        f"No worker serves {spec.id} now. Start one with: inference-service worker {spec.id}",
        details=details,
    )
