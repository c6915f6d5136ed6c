"""`/v1/models` and `/v1/models/{id}`: which models there are, and how they are."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from orchestration.routing import resolve
from presets.budgets import PARTS, Budgets
from presets.capabilities import CAPABILITIES
from web.operation import Answer, Component, Operation, describe, path
from web.render import models as render_models
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
            "created",
            "owned_by",
            "status",
            "memory_mb",
            "context_length",
            "context_available",
            "budgets",
            "fits",
            "roles",
            "capabilities",
        ],
        "properties": {
            "id": {"type": "string"},
            "object": {"type": "string", "const": "model"},
            "created": {"type": "integer", "minimum": 0},
            "owned_by": {"type": "string", "const": "inference-service"},
            "status": {
                "type": "string",
                "enum": ["loaded", "loading", "unloading", "available", "failed"],
            },
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
            "memory_mb": {"type": "integer"},
            "context_length": {"type": "integer"},
            "context_available": {"type": "integer"},
            "budgets": {
                "type": "object",
                "required": ["total", *PARTS],
                "additionalProperties": {"type": "integer", "minimum": 1},
            },
            "fits": {"type": "boolean"},
            "roles": {"type": "array", "items": {"type": "string"}},
            "capabilities": {
                "type": "array",
                "items": {"type": "string", "enum": list(CAPABILITIES)},
            },
            "error": {"type": "object", "required": ["code", "message"]},
        },
    },
    example={
        "id": "smollm2-135m",
        "object": "model",
        "created": 1790000000,
        "owned_by": "inference-service",
        "status": "loaded",
        "memory_mb": 438,
        "context_length": 8192,
        "context_available": 8192,
        "budgets": Budgets.of_context(8192).to_dict(),
        "fits": True,
        "roles": ["primary", "fast"],
        "capabilities": ["json"],
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
MODEL_ID = path("model_id", "A model's id, as in `GET /v1/models`.", "smollm2-135m")


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


@blueprint.get("/v1/models/<path:model_id>")
@describe(
    Operation(
        operation_id="getModel",
        tag="Models",
        summary="One model: what it can do, its status, and how far its loading is.",
        description=(
            "The same entry as in the list. A name may have slashes, and a gateway's prefix. "
            "`capabilities`: `tools` where the chat template shows the model what it may call, "
            "`json` where answers are held to a schema, `reasoning` where thoughts come apart, "
            "`fim` where the model fills gaps, `embedding` where it makes vectors and answers "
            "nothing, `rerank` where it ranks documents. `budgets` divides "
            "`context_available`, or where the model does not fit `context_length`, "
            "among what it reads and what it writes; "
            "`generation` is the `max_tokens` of requests that name none."
        ),
        parameters=(MODEL_ID,),
        answers={200: Answer("The model.", MODEL)},
        errors=(errors.ModelNotFound,),
    )
)
def show(model_id: str) -> dict[str, Any]:
    """One model, with its status and how far its loading is."""
    return render_models.entry(resolve.resolve(model_id, services().catalogue))
