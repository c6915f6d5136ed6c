"""`/v1/dead-letters`: jobs that killed their workers and were set aside."""

from __future__ import annotations

import time
from dataclasses import replace

import flask
from flask import Blueprint, Response

from orchestration.submit import Accepted
from web import intake
from web.access import auth
from web.render import jobs as render_jobs
from web.routes.jobs import find
from web.services import services
from workers.contract.errors import JobNotFound
from workers.store.records import JobRecord

blueprint = Blueprint("dead_letters", __name__)


@blueprint.get("/v1/dead-letters")
def index() -> Response:
    """Dead letters of this key, the latest first."""
    jobs = services().jobs
    records = (jobs.record(job_id) for job_id in jobs.dead_letters())
    own = [record for record in records if record and record.job.owner == auth.key_name()]
    data = [render_jobs.ended(record, jobs.events(record.job.id), []) for record in own]
    return flask.jsonify(object="list", data=data, has_more=False)


@blueprint.post("/v1/dead-letters/<job_id>/retry")
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
def drop(job_id: str) -> Response:
    """Forget a dead letter; its job stays readable while it is kept."""
    record = _find(job_id)
    jobs = services().jobs
    jobs.drop_dead_letter(job_id)
    return flask.jsonify(render_jobs.ended(record, jobs.events(job_id), []))


def _find(job_id: str) -> JobRecord:
    record = find(job_id)
    if job_id not in services().jobs.dead_letters():
        raise JobNotFound(f"{job_id[:100]!r} is no dead letter.", details={"job": job_id[:100]})
    return record
