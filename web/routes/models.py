"""`/v1/models`: which models there are, and loading and unloading them."""

from __future__ import annotations

from typing import Any

import flask
from flask import Blueprint, Response

from orchestration import loading
from orchestration.loading import State
from orchestration.routing import resolve
from presets.model import ModelSpec
from web.operation import Answer, Component, Operation, describe, path, query
from web.render import models as render_models
from web.schemas.refusals import excerpt, invalid
from web.services import services
from workers.contract import errors

blueprint = Blueprint("models", __name__)

MODEL = Component(
    "Model",
    {
        "type": "object",
        "required": [
            "id",
            "object",
            "status",
            "memory_mb",
            "context_length",
            "context_available",
            "fits",
            "roles",
        ],
        "properties": {
            "id": {"type": "string"},
            "object": {"type": "string", "const": "model"},
            "status": {
                "type": "string",
                "enum": ["loaded", "loading", "unloading", "available", "failed"],
            },
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
            "memory_mb": {"type": "integer"},
            "context_length": {"type": "integer"},
            "context_available": {"type": "integer"},
            "fits": {"type": "boolean"},
            "roles": {"type": "array", "items": {"type": "string"}},
            "error": {"type": "object", "required": ["code", "message"]},
        },
    },
    example={
        "id": "smollm2-135m",
        "object": "model",
        "owned_by": "inference-service",
        "status": "loaded",
        "memory_mb": 438,
        "context_length": 8192,
        "context_available": 8192,
        "fits": True,
        "roles": ["general"],
        "format": "chatml",
    },
)
MODELS = Component(
    "Models",
    {
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "object": {"type": "string", "const": "list"},
            "data": {"type": "array", "items": MODEL.ref},
        },
    },
    example={
        "object": "list",
        "data": [MODEL.example],
        "config": None,
        "orchestration_mode": "single",
    },
)
LOADING = Component(
    "Loading",
    {
        "type": "object",
        "required": ["id", "status", "message"],
        "properties": {
            "id": {"type": "string"},
            "status": {"type": "string", "enum": list(State)},
            "message": {"type": "string"},
        },
    },
)
MODEL_ID = path("model_id", "A model's id, as in `GET /v1/models`.", "smollm2-135m")
WAIT = query(
    "wait",
    "Whether to wait for the end of it; `true` where it is left out.",
    {"type": "boolean", "default": True},
)
_LATER = "It is not there yet: with `wait=false`, or where it takes too long."


def _loading(state: State, message: str) -> dict[str, str]:
    return {"id": "smollm2-135m", "status": state.value, "message": message}


@blueprint.get("/v1/models")
@describe(
    Operation(
        operation_id="listModels",
        tag="Models",
        summary="The models, loaded ones first.",
        description="Lists models that are wanted, that run, or whose file is there.",
        answers={200: Answer("The models, loaded ones first.", MODELS)},
    )
)
def index() -> dict[str, Any]:
    """Models that are wanted, running, or whose file is there; loaded ones first."""
    front_end = services()
    listed = {spec.id: spec for spec in front_end.catalogue.present}
    running = [worker.model for worker in front_end.directory.workers() if worker.model]
    for model_id in (*front_end.wanted(), *running, *front_end.directory.orders()):
        if front_end.catalogue.has(model_id):
            listed.setdefault(model_id, front_end.catalogue.get(model_id))
    entries = [render_models.entry(spec) for spec in listed.values()]
    entries.sort(key=lambda entry: (entry["status"] != "loaded", entry["id"]))
    return {
        "object": "list",
        "data": entries,
        "config": front_end.preset_id(),
        "orchestration_mode": front_end.mode_selector.default_mode,
    }


@blueprint.get("/v1/models/<model_id>")
@describe(
    Operation(
        operation_id="getModel",
        tag="Models",
        summary="One model: its status, and how far its loading is.",
        parameters=(MODEL_ID,),
        answers={200: Answer("The model.", MODEL)},
        errors=(errors.ModelNotFound,),
    )
)
def show(model_id: str) -> dict[str, Any]:
    """One model, with its status and how far its loading is."""
    return render_models.entry(_named(model_id))


@blueprint.post("/v1/models/<model_id>/load")
@describe(
    Operation(
        operation_id="loadModel",
        tag="Models",
        summary="Load a model, and wait until it answers.",
        description="See [LOADING.md](LOADING.md) for what makes room, and when.",
        parameters=(MODEL_ID, WAIT),
        answers={
            200: Answer(
                "It is loaded.",
                LOADING,
                _loading(State.LOADED, "smollm2-135m is loaded, in 1.4 s."),
            ),
            202: Answer(
                _LATER,
                LOADING,
                _loading(
                    State.LOADING,
                    "smollm2-135m is being loaded; GET /v1/models/smollm2-135m tells.",
                ),
            ),
        },
        errors=(
            errors.ModelNotFound,
            errors.ModelBusy,
            errors.NoWorker,
            errors.ModelLoadFailed,
            errors.InsufficientMemory,
        ),
    )
)
def load(model_id: str) -> Response:
    """Load a model; 200 once it answers, 202 where it is not waited for."""
    spec = _named(model_id)
    with services().thread():
        return _outcome(spec, services().loader.load(spec, wait=_waits()))


@blueprint.post("/v1/models/<model_id>/unload")
@describe(
    Operation(
        operation_id="unloadModel",
        tag="Models",
        summary="Unload a model, once its running answers have ended.",
        parameters=(MODEL_ID, WAIT),
        answers={
            200: Answer(
                "It is unloaded.",
                LOADING,
                {
                    "id": "smollm2-135m",
                    "status": "available",
                    "message": "smollm2-135m is unloaded.",
                },
            ),
            202: Answer(
                _LATER,
                LOADING,
                _loading(
                    State.UNLOADING,
                    "smollm2-135m takes no requests any longer; running answers end first.",
                ),
            ),
        },
        errors=(errors.ModelNotFound, errors.ModelBusy, errors.NoWorker),
    )
)
def unload(model_id: str) -> Response:
    """Unload a model; 200 once its running answers have ended and its memory is free."""
    spec = _named(model_id)
    with services().thread():
        return _outcome(spec, services().loader.unload(spec, wait=_waits()))


def _named(model_id: str) -> ModelSpec:
    return resolve.resolve(model_id, services().catalogue)


def _waits() -> bool:
    given = flask.request.args.get("wait", "true").lower()
    if given not in ("true", "false"):
        raise invalid("wait", f"must be true or false, not {excerpt(given)!r}")
    return given == "true"


def _outcome(spec: ModelSpec, answer: loading.Answer) -> Response:
    response = flask.jsonify(id=spec.id, status=answer.state, message=answer.message)
    done = answer.state in (State.LOADED, State.AVAILABLE)
    response.status_code = 200 if done else 202
    return response
