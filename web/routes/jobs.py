"""`/v1/jobs` and `/v1/jobs/{id}`: completions that run in the background."""

from __future__ import annotations

from dataclasses import replace

import flask
from flask import Blueprint, Response

from orchestration.submit import Attached
from web import intake
from web.operation import Answer, Component, Operation, describe
from web.render import jobs as render_jobs
from web.schemas.bounds import bounded
from web.schemas.completion_schema import BOUNDS, JobSchema
from web.schemas.responses import JOB
from web.services import services
from workers.contract import errors

blueprint = Blueprint("jobs", __name__)

REQUEST = Component(
    "JobRequest",
    JobSchema,
    example={
        "model": "smollm2-135m",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "priority": 0,
    },
)
_RUNNING = {
    **{name: value for name, value in JOB.example.items() if "position" not in name},
    "state": "running",
    "attempt": 1,
    "steps": [
        {
            "step": "answer",
            "part": "answer",
            "model": "smollm2-135m",
            "state": "running",
            "attempt": 1,
        }
    ],
}
del _RUNNING["estimated_wait_s"]
_CANCELLED = {**JOB.example, "state": "cancelled", "reason": "its caller cancelled it"}


@blueprint.post("/v1/jobs")
@describe(
    Operation(
        operation_id="createJob",
        tag="Jobs",
        summary="Take a completion to run in the background.",
        description=(
            "Takes the body of a chat completion, with `prompt` that of a completion, with "
            "`input` that of embeddings, or with `documents` that of a ranking, and "
            "`deadline_s`, `webhook` and priority 0. The job is stored before the answer is sent: "
            "it survives a restart of any process. Ask "
            "for it at `status_url`, read its tokens at `events_url`, or let a webhook bring it; "
            "see [JOBS.md](JOBS.md)."
        ),
        parameters=(intake.IDEMPOTENCY_KEY,),
        request=REQUEST,
        answers={202: Answer("The job is stored and queued.", JOB)},
        errors=(*intake.ERRORS, errors.NoWorker, errors.QueueFull, errors.DeadlineUnreachable),
    )
)
@bounded(BOUNDS)
def submit() -> Response:
    """Take a completion; 202 once it is stored and queued."""
    submitter = services().submitter
    asked = intake.read(asynchronous=True)
    if asked.stream:  # a job's events can always be read as they come
        asked = replace(asked, ignored=(*asked.ignored, "stream"))
    accepted = submitter.accept(intake.job(asked, asynchronous=True), idempotency=asked.idempotency)
    if isinstance(accepted, Attached):
        response = show(accepted.job.id)
        response.headers["Idempotent-Replayed"] = "true"
    else:
        submitter.start(accepted)
        response = flask.jsonify(render_jobs.accepted(accepted))
    response.status_code = 202
    response.headers["Location"] = render_jobs.address(accepted.job.id)
    intake.note(asked, accepted.job, response)
    return response


@blueprint.get("/v1/jobs/<job_id>")
@describe(
    Operation(
        operation_id="getJob",
        tag="Jobs",
        summary="How far a job is, and its result or error.",
        description=(
            "A job that waits has `position` and `estimated_wait_s`; one that has ended has "
            "`result`, `error` or `reason`. An ended job is kept for `INFERENCE_RESULT_TTL_S`."
        ),
        parameters=(intake.JOB_ID,),
        answers={200: Answer("The job.", JOB, _RUNNING)},
        errors=(errors.JobNotFound,),
    )
)
def show(job_id: str) -> Response:
    """How far a job is, and its result or error once it has ended."""
    record, jobs = intake.own_job(job_id), services().jobs
    if record.ended_ms is not None:
        return flask.jsonify(
            render_jobs.ended(record, jobs.events(job_id), jobs.webhook_attempts(job_id))
        )
    queued = jobs.queue_position(record)
    if queued is None:
        return flask.jsonify(render_jobs.running(record))
    position, model = queued
    wait_s = services().admission.wait_s(model, position)
    return flask.jsonify(render_jobs.running(record, position, wait_s))


@blueprint.delete("/v1/jobs/<job_id>")
@describe(
    Operation(
        operation_id="cancelJob",
        tag="Jobs",
        summary="Cancel a job, queued or running; delete one that has ended.",
        description=(
            "A job that has ended is deleted with everything that is kept of it: its result, its "
            "events, its webhook's attempts. It is shown once more, with `deleted`; then it is "
            "404. A job that is cancelled by this stays readable as long as any result: send "
            "DELETE again to delete it."
        ),
        parameters=(intake.JOB_ID,),
        answers={200: Answer("The job, as it is or was.", JOB, _CANCELLED)},
        errors=(errors.JobNotFound,),
    )
)
def cancel(job_id: str) -> Response:
    """Cancel a job, queued or running; delete one that has ended, and show it once more."""
    record, jobs = intake.own_job(job_id), services().jobs
    if record.ended_ms is None and jobs.cancel(job_id, "its caller cancelled it"):
        return show(job_id)
    record = intake.own_job(job_id)  # as it ended
    shown = render_jobs.ended(record, jobs.events(job_id), jobs.webhook_attempts(job_id))
    jobs.delete(job_id)
    return flask.jsonify({**shown, "deleted": True})
