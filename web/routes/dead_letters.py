"""`/v1/dead-letters`: jobs that killed their workers and were set aside.

They are an operator's business: once there are keys, an admin key sees those of all keys, and no
other sees any. The key that asked finds the error in its own job.
"""

from __future__ import annotations

import time
from dataclasses import replace

import flask
from flask import Blueprint, Response

from orchestration.submit import Accepted
from web import intake
from web.access import auth
from web.errors import body as error_body
from web.operation import Answer, Operation, describe
from web.render import jobs as render_jobs
from web.schemas.refusals import excerpt
from web.schemas.responses import JOB, JOBS
from web.services import services
from workers.contract import errors
from workers.store.records import JobRecord

blueprint = Blueprint("dead_letters", __name__)

_FAILED = {
    **JOBS.example["data"][0],
    "state": "failed",
    **error_body(errors.JobPoisoned()),
}


@blueprint.get("/v1/dead-letters")
@describe(
    Operation(
        operation_id="listDeadLetters",
        tag="Dead letters",
        summary="Jobs that killed their workers, set aside.",
        description=(
            "Dead letters of all API keys, the latest first. Needs an admin key where there are "
            "keys."
        ),
        answers={
            200: Answer(
                "The dead letters.", JOBS, {"object": "list", "data": [_FAILED], "has_more": False}
            )
        },
        errors=(errors.Forbidden,),
    )
)
def index() -> Response:
    """Dead letters of all keys, the latest first."""
    _require_admin()
    jobs = services().jobs
    records = (jobs.record(job_id) for job_id in jobs.dead_letters())
    data = [
        render_jobs.ended(record, jobs.events(record.job.id), []) for record in records if record
    ]
    return flask.jsonify(object="list", data=data, has_more=False)


@blueprint.post("/v1/dead-letters/<job_id>/retry")
@describe(
    Operation(
        operation_id="retryDeadLetter",
        tag="Dead letters",
        summary="Ask for the same again.",
        description=(
            "The request becomes a new job of the same API key, which is not blamed for the old "
            "one. Needs an admin key where there are keys."
        ),
        parameters=(intake.JOB_ID,),
        answers={202: Answer("The new job.", JOB)},
        errors=(errors.JobNotFound, errors.NoWorker, errors.QueueFull, errors.Forbidden),
    )
)
def retry(job_id: str) -> Response:
    """Ask for the same again as a new job, which is not blamed for the old one."""
    record = _find(job_id)
    jobs, submitter = services().jobs, services().submitter
    job = replace(
        record.job,
        id=intake.new_id(record.job.api, is_response=record.job.response is not None),
        created=int(time.time()),
        request_id=flask.g.request_id,
        asynchronous=True,
        routing=None,  # it names its model now
    )
    accepted = submitter.accept(job)
    if not isinstance(accepted, Accepted):
        raise TypeError("a new job without an Idempotency-Key attaches to none")
    submitter.start(accepted)
    jobs.drop_dead_letter(job_id)
    response = flask.jsonify(render_jobs.accepted(accepted))
    response.status_code = 202
    response.headers["Location"] = render_jobs.address(job.id)
    return response


@blueprint.delete("/v1/dead-letters/<job_id>")
@describe(
    Operation(
        operation_id="dropDeadLetter",
        tag="Dead letters",
        summary="Forget a dead letter.",
        description=(
            "Its job stays readable as long as it is kept. Needs an admin key where there are keys."
        ),
        parameters=(intake.JOB_ID,),
        answers={200: Answer("The job that was one.", JOB, _FAILED)},
        errors=(errors.JobNotFound, errors.Forbidden),
    )
)
def drop(job_id: str) -> Response:
    """Forget a dead letter; its job stays readable while it is kept."""
    record = _find(job_id)
    jobs = services().jobs
    jobs.drop_dead_letter(job_id)
    return flask.jsonify(render_jobs.ended(record, jobs.events(job_id), []))


def _find(job_id: str) -> JobRecord:
    _require_admin()
    jobs = services().jobs
    record = jobs.record(job_id) if job_id in jobs.dead_letters() else None
    if record is None:
        quoted = excerpt(job_id)
        raise errors.JobNotFound(f"{quoted!r} is no dead letter.", details={"job": quoted})
    return record


def _require_admin() -> None:
    auth.require_admin("Looking after dead letters")
