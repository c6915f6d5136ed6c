"""`/v1/jobs`: completions that nobody waits for on the line."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import flask
from flask import Blueprint, Response

from orchestration.submit import Attached
from web import intake
from web.access import auth
from web.render import job_events
from web.render import jobs as render_jobs
from web.schemas.bounds import bounded
from web.schemas.completion import BOUNDS
from web.schemas.job_list import read_query
from web.services import services
from workers.contract.errors import JobNotFound
from workers.store.records import JobRecord

blueprint = Blueprint("jobs", __name__)


@blueprint.post("/v1/jobs")
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


@blueprint.get("/v1/jobs")
def index() -> Response:
    """Asynchronous jobs of this key, the latest first."""
    query = read_query(flask.request.args)
    entries = services().jobs.listed(
        auth.key_name(),
        state=query.state,
        model=query.model,
        after=query.after,
        limit=query.limit + 1,
    )
    more = len(entries) > query.limit
    data = [render_jobs.entry(entry) for entry in entries[: query.limit]]
    return flask.jsonify(object="list", data=data, has_more=more)


@blueprint.get("/v1/jobs/<job_id>")
def show(job_id: str) -> Response:
    """How far a job is, and its result or error once it has ended."""
    record, jobs = find(job_id), services().jobs
    if record.ended_ms is not None:
        return flask.jsonify(
            render_jobs.ended(record, jobs.events(job_id), jobs.webhook_attempts(job_id))
        )
    place = jobs.place(record)
    if place is None:
        return flask.jsonify(render_jobs.running(record))
    position, model = place
    wait_s = services().admission.wait_s(model, position)
    return flask.jsonify(render_jobs.running(record, position, wait_s))


@blueprint.delete("/v1/jobs/<job_id>")
def cancel(job_id: str) -> Response:
    """Cancel a job, queued or running; one that has ended stays as it ended."""
    find(job_id)
    services().jobs.cancel(job_id, "its caller cancelled it")
    return show(job_id)


@blueprint.get("/v1/jobs/<job_id>/events")
def events(job_id: str) -> Response:
    """A job's events as they come, from the start or after `Last-Event-ID`."""
    record = find(job_id)
    after = intake.last_event_id(record)
    if record.ended_ms is not None and after == record.last_seq:
        return Response(status=204)  # tells a browser's EventSource not to come again
    with contextlib.ExitStack() as closing:
        closing.enter_context(services().thread())
        reader = closing.enter_context(services().hub.reader(job_id, after_seq=after))
        connection = flask.request.environ.get("gunicorn.socket")
        closing.enter_context(services().disconnects.watching(connection, reader.leave))
        return job_events.respond(reader, closing.pop_all())


def find(job_id: str) -> JobRecord:
    """The job's record, for the key that asked for it and no other.

    Raises:
        JobNotFound: there is none, or it is another key's.
    """
    record = services().jobs.record(job_id)
    if record is None or record.job.owner != auth.key_name():
        raise JobNotFound(
            f"There is no job {job_id[:100]!r}, or it is no longer kept.",
            details={"job": job_id[:100]},
        )
    return record
