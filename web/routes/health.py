"""`GET /health` and `GET /health/ready`."""

from __future__ import annotations

from typing import Any

import flask
from flask import Blueprint, Response
from redis.exceptions import RedisError

import web
from web.services import services
from workers.presence import Worker, WorkerStatus

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def alive() -> dict[str, str]:
    """The process answers; says nothing of Redis or models."""
    return {"status": "ok", "service": "inference-service", "version": web.__version__}


@blueprint.get("/health/ready")
def ready() -> Response | dict[str, Any]:
    """Whether a request would be answered."""
    found = services()
    wanted = found.wanted()
    try:
        workers = found.directory.workers()
        loaded_once = found.directory.loaded_once()
    except RedisError:
        return _not_ready("Redis cannot be reached", f"0/{len(wanted)}")
    serving = {w.model for w in workers if w.model and w.status is WorkerStatus.LOADED}
    missing = [model_id for model_id in wanted if model_id not in loaded_once]
    if missing:
        reason = "; ".join(_why(model_id, workers) for model_id in missing)
        return _not_ready(reason, f"{len(wanted) - len(missing)}/{len(wanted)}")
    if not serving:
        return _not_ready("no model has a live worker", f"0/{len(wanted)}")
    return {
        "status": "ready",
        "config": found.preset_id(),
        "loaded_models": sorted(serving),
        "orchestration_mode": found.director.default_mode,
        "degraded": [model_id for model_id in wanted if model_id not in serving],
    }


def _not_ready(reason: str, progress: str) -> Response:
    answer = flask.jsonify(status="not_ready", reason=reason, progress=progress)
    answer.status_code = 503
    return answer


def _why(model_id: str, workers: tuple[Worker, ...]) -> str:
    """What keeps a model from being loaded."""
    own = [worker for worker in workers if worker.model == model_id]
    for worker in own:
        if worker.status is WorkerStatus.LOADING:
            return f"{model_id} is being loaded ({worker.progress:.0%})"
    for worker in own:
        if worker.error:
            return f"{model_id} could not be loaded: {worker.error['message']}"
    return f"{model_id} has no worker yet"
