"""`GET /v1/jobs/{id}/events`: a job's events as server-sent events."""

from __future__ import annotations

import contextlib

import flask
from flask import Blueprint, Response

from web import intake
from web.edge.connection import client_socket
from web.operation import Answer, Operation, describe, header
from web.render import job_events
from web.services import services
from workers.contract import errors

blueprint = Blueprint("job_events", __name__)

_STREAM = """\
id: 3
event: token
data: {"seq":3,"type":"token","step":"answer","attempt":1,"token_ids":[3575],"text":" capital"}

"""


@blueprint.get("/v1/jobs/<job_id>/events")
@describe(
    Operation(
        operation_id="streamJobEvents",
        tag="Jobs",
        summary="A job's events as they come, from the start or after one.",
        description=(
            "Any number of readers may read, at any time; reading and leaving change nothing "
            "about the job. A browser's EventSource goes on by itself after a break. The last "
            "event is `completed`, `failed` or `cancelled`; see [JOBS.md](JOBS.md)."
        ),
        parameters=(
            intake.JOB_ID,
            header(
                "Last-Event-ID",
                "Send only what comes after the event of this number.",
                {"type": "string"},
            ),
        ),
        answers={
            200: Answer("Server-sent events.", stream=_STREAM),
            204: Answer("The job has ended, and no event comes after that one."),
        },
        errors=(errors.JobNotFound, errors.InvalidEventId),
    )
)
def stream(job_id: str) -> Response:
    """A job's events as they come, from the start or after `Last-Event-ID`."""
    record = intake.own_job(job_id)
    after = intake.last_event_id(record)
    if record.ended_ms is not None and after == record.last_seq:
        return Response(status=204)  # lets a browser's EventSource not come again
    with contextlib.ExitStack() as closing:
        closing.enter_context(services().thread())
        reader = closing.enter_context(services().hub.reader(job_id, after_seq=after))
        connection = client_socket(flask.request.environ)
        closing.enter_context(services().disconnects.watching(connection, reader.leave))
        closing.enter_context(services().draining.closing(reader.stop))
        return job_events.respond(reader, closing.pop_all())
