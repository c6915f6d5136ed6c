"""`GET /v1/models`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from presets.model import ModelSpec
from web.services import services
from workers.presence import Worker, WorkerStatus

blueprint = Blueprint("models", __name__)

#: The best that any of a model's workers is, first.
_STATUS = {
    WorkerStatus.LOADED: "loaded",
    WorkerStatus.LOADING: "loading",
    WorkerStatus.UNLOADING: "unloading",
    WorkerStatus.WEDGED: "failed",
    WorkerStatus.FAILED: "failed",
}


@blueprint.get("/v1/models")
def index() -> dict[str, Any]:
    """Models that are wanted, running, or whose file is there; loaded ones first."""
    found = services()
    workers = [worker for worker in found.directory.workers() if worker.model is not None]
    listed = {spec.id: spec for spec in found.catalogue.present}
    for model_id in found.wanted():
        if found.catalogue.has(model_id):
            listed.setdefault(model_id, found.catalogue.get(model_id))
    entries = [_entry(spec, [w for w in workers if w.model == spec.id]) for spec in listed.values()]
    entries.sort(key=lambda entry: (entry["status"] != "loaded", entry["id"]))
    return {
        "object": "list",
        "data": entries,
        "config": found.preset_id(),
        "orchestration_mode": found.director.default_mode,
    }


def _entry(spec: ModelSpec, workers: list[Worker]) -> dict[str, Any]:
    best = min(workers, key=lambda worker: list(_STATUS).index(worker.status), default=None)
    planned = services().planned(spec)
    entry: dict[str, Any] = {
        "id": spec.id,
        "object": "model",
        "owned_by": "inference-service",
        "status": "available" if best is None else _STATUS[best.status],
        "memory_mb": _memory_mb(spec, best),
        "context_length": spec.context_length,
        "context_available": (best and best.context_length) or planned.context_available,
        "fits": planned.fits or (best is not None and best.status is WorkerStatus.LOADED),
        "roles": list(spec.roles),
    }
    if form := (best and best.format) or spec.format:
        entry["format"] = form
    if best is not None and best.status is WorkerStatus.LOADING:
        entry["progress"] = best.progress
    if best is not None and best.status in (WorkerStatus.FAILED, WorkerStatus.WEDGED):
        entry["error"] = _error(best.error or {})
    return entry


def _error(error: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": error.get("code"), "message": error.get("message")}


def _memory_mb(spec: ModelSpec, worker: Worker | None) -> int:
    measured = worker.memory_bytes if worker is not None else 0
    return (measured or services().catalogue.estimate_bytes(spec)) // 2**20
