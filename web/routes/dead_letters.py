"""`/v1/dead-letters`: jobs that killed their workers and were set aside."""

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
        description="Dead letters of this API key, the latest first.",
        answers={
            200: Answer(
                "The dead letters.", JOBS, {"object": "list", "data": [_FAILED], "has_more": False}
            )
        },
    )
)
def index() -> Response:
    """Dead letters of this key, the latest first."""
    jobs = services().jobs
    records = (jobs.record(job_id) for job_id in jobs.dead_letters())
    own = [record for record in records if record and record.job.owner == auth.key_name()]
    data = [render_jobs.ended(record, jobs.events(record.job.id), []) for record in own]
    return flask.jsonify(object="list", data=data, has_more=False)


@blueprint.post("/v1/dead-letters/<job_id>/retry")
@describe(
    Operation(
        operation_id="retryDeadLetter",
        tag="Dead letters",
        summary="Ask for the same again.",
        description="The request becomes a new job, which is not blamed for the old one.",
        parameters=(intake.JOB_ID,),
        answers={202: Answer("The new job.", JOB)},
        errors=(errors.JobNotFound, errors.NoWorker, errors.QueueFull),
    )
)
def retry(job_id: str) -> Response:
    """Ask for the same again as a new job, which is not blamed for the old one."""
    record = _find(job_id)
    jobs, submitter = services().jobs, services().submitter
    job = replace(
        record.job,
        id=intake.new_id(),
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
        description="Its job stays readable as long as it is kept.",
        parameters=(intake.JOB_ID,),
        answers={200: Answer("The job that was one.", JOB, _FAILED)},
        errors=(errors.JobNotFound,),
    )
)
def drop(job_id: str) -> Response:
    """Forget a dead letter; its job stays readable while it is kept."""
    record = _find(job_id)
    jobs = services().jobs
    jobs.drop_dead_letter(job_id)
    return flask.jsonify(render_jobs.ended(record, jobs.events(job_id), []))


def _find(job_id: str) -> JobRecord:
    record = intake.own_job(job_id)
    if job_id not in services().jobs.dead_letters():
        quoted = excerpt(job_id)
        raise errors.JobNotFound(f"{quoted!r} is no dead letter.", details={"job": quoted})
    return record
