"""`/v1/models`: which models there are, and loading and unloading them."""

from __future__ import annotations

from typing import Any

import flask
from flask import Blueprint, Response

from orchestration.loading import Answer, State
from orchestration.routing import resolve
from presets.model import ModelSpec
from web.render import models as render_models
from web.services import services
from workers.contract.errors import ValidationFailed

blueprint = Blueprint("models", __name__)


@blueprint.get("/v1/models")
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
def show(model_id: str) -> dict[str, Any]:
    """One model, with its status and how far its loading is."""
    return render_models.entry(_named(model_id))


@blueprint.post("/v1/models/<model_id>/load")
def load(model_id: str) -> Response:
    """Load a model; 200 once it answers, 202 where it is not waited for."""
    spec = _named(model_id)
    with services().thread():
        return _outcome(spec, services().loader.load(spec, wait=_waits()))


@blueprint.post("/v1/models/<model_id>/unload")
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
        raise ValidationFailed(
            f"wait must be true or false, not {given[:100]!r}.", details={"param": "wait"}
        )
    return given == "true"


def _outcome(spec: ModelSpec, answer: Answer) -> Response:
    response = flask.jsonify(id=spec.id, status=answer.state, message=answer.message)
    done = answer.state in (State.LOADED, State.AVAILABLE)
    response.status_code = 200 if done else 202
    return response
