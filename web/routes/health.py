"""`GET /health` and `GET /health/ready`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flask
from flask import Blueprint, Response
from redis.exceptions import RedisError

import web
from web.operation import Answer, Component, Operation, describe
from web.render import models as render_models
from web.services import Services, services
from workers.cluster.orders import Target

blueprint = Blueprint("health", __name__)

#: Stands among the degraded models while Redis has no memory for new work.
REDIS = "redis"
HEALTH = Component("Health", {"type": "object", "required": ["status"]})
_READY = {
    "status": "ready",
    "config": None,
    "loaded_models": ["smollm2-135m"],
    "orchestration_mode": "single",
    "degraded": [],
    "models": [{"id": "smollm2-135m", "status": "loaded"}],
}
_NOT_READY = {
    "status": "not_ready",
    "reason": "smollm2-135m is being loaded (40%)",
    "progress": "0/1",
    "models": [{"id": "smollm2-135m", "status": "loading", "progress": 0.4}],
}


@blueprint.get("/health")
@describe(
    Operation(
        operation_id="getHealth",
        tag="Health and description",
        summary="Whether the process answers.",
        description="Says nothing of Redis or models. Needs no API key.",
        answers={
            200: Answer(
                "Whether the process answers.",
                HEALTH,
                {"status": "ok", "service": "inference-service", "version": "0.1.0"},
            )
        },
    )
)
def alive() -> dict[str, str]:
    """The process answers; says nothing of Redis or models."""
    return {"status": "ok", "service": "inference-service", "version": web.__version__}


@blueprint.get("/health/ready")
@describe(
    Operation(
        operation_id="getReadiness",
        tag="Health and description",
        summary="Whether a request would be answered.",
        description=(
            "200 once every model that is wanted was loaded and one can answer. `degraded` names "
            "wanted models that do not answer now, and `redis` while its memory is so full that no "
            "new request is taken in; `reason` says so. Where the semantic cache is wanted, "
            "`semantic_cache` says whether it works. Needs no API key."
        ),
        answers={
            200: Answer("Whether a request would be answered.", HEALTH, _READY),
            503: Answer("Not now; `reason` says why.", HEALTH, _NOT_READY),
        },
    )
)
def ready() -> Response | dict[str, Any]:
    """Whether a request would be answered."""
    front_end = services()
    try:
        return _readiness(front_end)
    except RedisError:
        return _not_ready("Redis cannot be reached", f"0/{len(front_end.wanted())}")


def _readiness(front_end: Services) -> Response | dict[str, Any]:
    wanted, directory = front_end.wanted(), front_end.directory
    running = [worker.model for worker in directory.workers() if worker.model]
    concerned = sorted({*wanted, *running, *directory.orders()})
    models = [{"id": model_id, **render_models.status(model_id)} for model_id in concerned]
    serving = {model["id"] for model in models if model["status"] == "loaded"}
    left = {model_id for model_id in wanted if _was_unloaded(model_id, front_end)}
    if front_end.settings.autoscaled:  # a request is what brings the first worker of a model
        left |= {model_id for model_id in wanted if not directory.of(model_id)}
    missing = [m for m in wanted if m not in directory.loaded_once() | left]
    if missing:
        reason = "; ".join(_why(model) for model in models if model["id"] in missing)
        return _not_ready(reason, f"{len(wanted) - len(missing)}/{len(wanted)}", models)
    on_demand = front_end.settings.load_on_demand and any(directory.can_load(m) for m in wanted)
    if not serving and not on_demand:
        reason = "no model is loaded" if left else "no model has a live worker"
        return _not_ready(reason, f"0/{len(wanted)}", models)
    memory = front_end.admission.full_memory()
    return {
        "status": "ready",
        "config": front_end.preset_id(),
        "loaded_models": sorted(serving),
        "orchestration_mode": front_end.mode_selector.default_mode,
        "degraded": [model_id for model_id in wanted if model_id not in serving | left]
        + ([] if memory is None else [REDIS]),
        **({} if memory is None else {"reason": _why_redis(memory)}),
        **_semantic_cache(front_end),
        "models": models,
    }


def _not_ready(reason: str, progress: str, models: Sequence[Mapping[str, Any]] = ()) -> Response:
    answer = flask.jsonify(status="not_ready", reason=reason, progress=progress, models=models)
    answer.status_code = 503
    return answer


def _was_unloaded(model_id: str, front_end: Services) -> bool:
    """Whether a model is not loaded because that was decided, and not because it could not be."""
    order = front_end.directory.order(model_id)
    return order is not None and order.target is Target.UNLOADED and order.error is None


def _semantic_cache(front_end: Services) -> dict[str, Any]:
    """Whether the semantic cache works, where it is wanted; requests are answered without it."""
    if front_end.semantic is None:
        return {}
    obstacle = front_end.semantic.obstacle()
    off = {} if obstacle is None else {"reason": obstacle}
    return {"semantic_cache": {"status": "off" if off else "on", **off}}


def _why_redis(used: float) -> str:
    """Why requests are refused though models answer; what is there can be read and deleted."""
    return (
        f"Redis has used {used:.0%} of its memory: new requests are refused until jobs end or "
        "results are deleted (INFERENCE_REDIS_MEMORY_MB, INFERENCE_RESULT_TTL_S)"
    )


def _why(model: Mapping[str, Any]) -> str:
    """What keeps a model from being loaded."""
    if "progress" in model:
        return f"{model['id']} is being loaded ({model['progress']:.0%})"
    if "error" in model:
        return f"{model['id']} could not be loaded: {model['error']['message']}"
    return f"{model['id']} has no worker yet"
