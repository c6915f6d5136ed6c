"""`/v1/models/{id}/load` and `/unload`: loading and unloading a model."""

from __future__ import annotations

import flask
from flask import Blueprint, Response

from orchestration import loading
from orchestration.loading import State
from orchestration.routing import resolve
from presets.model import ModelSpec
from web.access import auth
from web.operation import Answer, Component, Operation, describe, query
from web.routes.models import MODEL_ID
from web.schemas.refusals import excerpt, invalid
from web.services import services
from workers.contract import errors

blueprint = Blueprint("model_loading", __name__)

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
WAIT = query(
    "wait",
    "Whether to wait for the end of it; `true` where it is left out.",
    {"type": "boolean", "default": True},
)
_LATER = "It is not there yet: with `wait=false`, or where it takes too long."


def _loading(state: State, message: str) -> dict[str, str]:
    return {"id": "smollm2-135m", "status": state.value, "message": message}


@blueprint.post("/v1/models/<model_id>/load")
@describe(
    Operation(
        operation_id="loadModel",
        tag="Models",
        summary="Load a model, and wait until it answers.",
        description=(
            "Needs an admin key where there are keys. See [LOADING.md](LOADING.md) for what makes "
            "room, and when."
        ),
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
                    "smollm2-135m is being loaded; GET /v1/models/smollm2-135m says how far it is.",
                ),
            ),
        },
        errors=(
            errors.ModelNotFound,
            errors.ModelBusy,
            errors.NoWorker,
            errors.ModelLoadFailed,
            errors.InsufficientMemory,
            errors.Forbidden,
        ),
    )
)
def load(model_id: str) -> Response:
    """Load a model; 200 once it answers, 202 where it is not waited for."""
    auth.require_admin("Loading a model")
    spec = resolve.resolve(model_id, services().catalogue)
    with services().thread():
        return _outcome(spec, services().loader.load(spec, wait=_waits()))


@blueprint.post("/v1/models/<model_id>/unload")
@describe(
    Operation(
        operation_id="unloadModel",
        tag="Models",
        summary="Unload a model, once its running answers have ended.",
        description="Needs an admin key where there are keys.",
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
        errors=(errors.ModelNotFound, errors.ModelBusy, errors.NoWorker, errors.Forbidden),
    )
)
def unload(model_id: str) -> Response:
    """Unload a model; 200 once its running answers have ended and its memory is free."""
    auth.require_admin("Unloading a model")
    spec = resolve.resolve(model_id, services().catalogue)
    with services().thread():
        return _outcome(spec, services().loader.unload(spec, wait=_waits()))


def _waits() -> bool:
    given = flask.request.args.get("wait", "true").lower()
    if given not in ("true", "false"):
        raise invalid("wait", f"must be true or false, not {excerpt(given)!r}")
    return given == "true"


def _outcome(spec: ModelSpec, answer: loading.LoadResult) -> Response:
    response = flask.jsonify(id=spec.id, status=answer.state, message=answer.message)
    done = answer.state in (State.LOADED, State.AVAILABLE)
    response.status_code = 200 if done else 202
    return response
