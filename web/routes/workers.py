"""`/v1/workers`: the processes that answer, and draining one of them."""

from __future__ import annotations

import flask
from flask import Blueprint, Response

from web.access import auth
from web.operation import Answer, Component, Operation, describe, path, query
from web.schemas.refusals import excerpt, invalid
from web.services import services
from workers.cluster.presence import Worker
from workers.contract import errors

blueprint = Blueprint("workers", __name__)

#: The longest grace that may be asked for, a day.
_LONGEST_GRACE_S = 86_400.0
_MB = 2**20
_ID = "smollm2-135m@host-1f4-6a2c11"
_EXAMPLE = {
    "id": _ID,
    "model": "smollm2-135m",
    "host": "host",
    "pid": 500,
    "status": "loaded",
    "concurrency": 4,
    "memory_mb": 350,
    "devices": [],
}
WORKERS = Component(
    "Workers",
    {
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "object": {"const": "list"},
            "data": {
                "type": "array",
                "items": {"type": "object", "required": ["id", "model", "host", "status"]},
            },
        },
    },
)
DRAINING = Component(
    "Draining",
    {
        "type": "object",
        "required": ["id", "message"],
        "properties": {"id": {"type": "string"}, "message": {"type": "string"}},
    },
)


@blueprint.get("/v1/workers")
@describe(
    Operation(
        operation_id="listWorkers",
        tag="Workers",
        summary="The worker processes of all hosts.",
        description=(
            "By host and id; `model` is null for one that decides between the steps of modes. "
            "Needs an admin key where there are keys."
        ),
        answers={200: Answer("The workers.", WORKERS, {"object": "list", "data": [_EXAMPLE]})},
        errors=(errors.Forbidden,),
    )
)
def index() -> Response:
    """Every live worker process, by host and id."""
    auth.require_admin("Listing workers")
    workers = sorted(services().directory.workers(), key=lambda worker: (worker.host, worker.id))
    return flask.jsonify(object="list", data=[_shown(worker) for worker in workers])


@blueprint.post("/v1/workers/<worker_id>/drain")
@describe(
    Operation(
        operation_id="drainWorker",
        tag="Workers",
        summary="Let a worker end its answers, and then itself.",
        description=(
            "It takes nothing new, ends what ends within its grace, and hands the rest to other "
            "workers. Whoever started it starts it again. Needs an admin key where there are keys."
        ),
        parameters=(
            path("worker_id", "Its id, as `GET /v1/workers` has it.", _ID),
            query(
                "grace_s",
                "Seconds that its answers get; its INFERENCE_GRACE_S where it is left out.",
                {"type": "number", "minimum": 0, "maximum": _LONGEST_GRACE_S},
            ),
        ),
        answers={
            202: Answer(
                "It was asked; it is gone from `GET /v1/workers` when it has ended.",
                DRAINING,
                {"id": _ID, "message": "It ends when its answers have."},
            )
        },
        errors=(errors.NotFound, errors.Forbidden),
    )
)
def drain(worker_id: str) -> tuple[Response, int]:
    """Ask a worker to drain."""
    auth.require_admin("Draining a worker")
    grace_s = _grace_s()
    front_end = services()
    if all(worker.id != worker_id for worker in front_end.directory.workers()):
        raise errors.NotFound(
            f"There is no worker {excerpt(worker_id)!r}. GET /v1/workers lists them."
        )
    front_end.drains.request(worker_id, grace_s)
    return flask.jsonify(id=worker_id, message="It ends when its answers have."), 202


def _shown(worker: Worker) -> dict[str, object]:
    return {
        "id": worker.id,
        "model": worker.model,
        "host": worker.host,
        "pid": worker.pid,
        "status": worker.status,
        "concurrency": worker.concurrency,
        "memory_mb": worker.memory_bytes // _MB,
        "devices": list(worker.devices),
    }


def _grace_s() -> float | None:
    given = flask.request.args.get("grace_s")
    if given is None:
        return None
    try:
        grace_s = float(given)
    except ValueError:
        grace_s = -1.0
    if not 0 <= grace_s <= _LONGEST_GRACE_S:
        raise invalid("grace_s", f"must be seconds from 0 to {_LONGEST_GRACE_S:.0f}")
    return grace_s
