"""A model as `/v1/models` and `/health/ready` show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestration.routing import resolve
from presets import capabilities
from presets.memory.plan import Placement
from presets.model import ModelSpec
from web.services import services
from workers.cluster.presence import Worker, WorkerStatus
from workers.contract.errors import ModelLoadFailed

#: The best that any of a model's workers is, first.
_STATUS = {
    WorkerStatus.LOADED: "loaded",
    WorkerStatus.LOADING: "loading",
    WorkerStatus.UNLOADING: "unloading",
    WorkerStatus.WEDGED: "failed",
    WorkerStatus.FAILED: "failed",
    WorkerStatus.UNLOADED: "available",
}


def entry(spec: ModelSpec) -> dict[str, Any]:
    """Everything that is shown of a model.

    Raises:
        redis.RedisError: Redis is away.
    """
    best = _best(spec.id)
    planned = services().planned(spec)
    available = _available(best, planned)
    described: dict[str, Any] = {
        "id": spec.id,
        "object": "model",
        "created": _created(spec),
        "owned_by": "inference-service",
        **status(spec.id),
        "memory_mb": _memory_mb(spec, best),
        "context_length": spec.context_length,
        "context_available": available,
        "budgets": spec.budgets.scaled(available or spec.context_length).to_dict(),
        "fits": planned.fits or (best is not None and best.status is WorkerStatus.LOADED),
        "roles": list(spec.roles),
        "capabilities": list(capabilities.of(spec)),
    }
    if form := (best and best.format) or spec.format:
        described["format"] = form
    return described


def longest_request(spec: ModelSpec) -> int:
    """The most tokens that a request may use: `context_available`, or what the model could take
    where it does not fit.

    Raises:
        redis.RedisError: Redis is away.
    """
    available = _available(_best(spec.id), services().planned(spec))
    return available or spec.context_length


def _available(best: Worker | None, planned: Placement) -> int:
    return (best and best.context_length) or planned.context_available


def status(model: str) -> dict[str, Any]:
    """`status`; with it `progress` (0 to 1) while it is loading, and `error` where it could not be.

    Raises:
        redis.RedisError: Redis is away.
    """
    directory = services().directory
    best = _best(model)
    if directory.serving(model):
        return {"status": "loaded"}
    if best is not None and best.holds and directory.is_ordered_unloaded(model):
        return {"status": "unloading"}
    if (progress := resolve.load_progress(model, directory)) is not None:
        return {"status": "loading", "progress": progress}
    if (error := resolve.load_error(model, directory)) is not None:
        failed = isinstance(error, ModelLoadFailed) or best is not None
        return {"status": "failed" if failed else "available", "error": _error(error.to_dict())}
    if best is not None and best.error is not None:  # it has stopped working, and ends
        return {"status": _STATUS[best.status], "error": _error(best.error)}
    return {"status": "available" if best is None else _STATUS[best.status]}


def _error(error: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": error.get("code"), "message": error.get("message")}


def _best(model: str) -> Worker | None:
    workers = services().directory.of(model)
    return min(workers, key=lambda worker: list(_STATUS).index(worker.status), default=None)


def _created(spec: ModelSpec) -> int:
    """When its weights were written, in seconds of Unix time; 0 where this machine has none."""
    try:
        return 0 if spec.path is None else int(spec.path.stat().st_mtime)
    except OSError:
        return 0


def _memory_mb(spec: ModelSpec, worker: Worker | None) -> int:
    measured = worker.memory_bytes if worker is not None else 0
    return (measured or services().catalogue.estimate_bytes(spec)) // 2**20
