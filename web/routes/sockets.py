"""`/v1/ws/chat` and `/v1/jobs/{id}/ws`: WebSockets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from flask import Blueprint
from websockets.exceptions import ConnectionClosed

from web import intake
from web.edge.limits import MB
from web.edge.websocket import Socket, route
from web.live import request_log
from web.operation import Answer, Operation, describe, query
from web.render import websocket
from web.render.websocket import JsonSocket
from web.services import services
from workers.contract import errors

blueprint = Blueprint("sockets", __name__)


def _holding() -> contextlib.AbstractContextManager[None]:
    return services().socket()


def _most_bytes() -> int:
    return services().settings.max_body_mb * MB


#: OpenAPI has no word for WebSockets; what it can say is where they open.
_OPENED = {101: Answer("The connection is a WebSocket.")}


@route(blueprint, "/v1/ws/chat", _holding, _most_bytes)
@describe(
    Operation(
        operation_id="openChatSocket",
        tag="WebSockets",
        summary="A completion over a WebSocket.",
        description=(
            'Takes JSON: `{"type": "chat", ...}` with the fields of a chat completion, '
            'then `{"type": "cancel"}` if it likes. It gets `{"type": "accepted", "id"}` and the '
            "job's events. Closed with 1000 when the job has ended, 1008 when it was refused, "
            "1011 when it failed. What goes wrong before the end is a message "
            '`{"type": "error", "error": ...}` of the one error format; the first message that is '
            "wrong ends it."
        ),
        answers=_OPENED,
        errors=intake.ERRORS,
        command=(
            """echo '{"type": "chat", "model": "smollm2-135m", """
            """"messages": [{"role": "user", "content": "Hello"}]}' |\n"""
            "  websocat --no-close ws://127.0.0.1:8085/v1/ws/chat"
        ),
    )
)
def chat(socket: Socket) -> None:
    """Take one completion as `{"type": "chat", ...}`, and send its events."""
    json_socket = JsonSocket(socket)
    with _refusing(json_socket), contextlib.ExitStack() as held:
        message = json_socket.first_message()
        held.enter_context(services().open_request())
        if message.pop("type") != "chat":
            raise errors.ValidationFailed(
                'The first message must have the type "chat".', details={"param": "type"}
            )
        asked = intake.read(message)
        job = intake.job(asked)
        with services().live_completions.open(job, idempotency=asked.idempotency) as completion:
            request_log.current().completion = completion
            json_socket.listen(
                lambda: completion.cancel("its caller cancelled it"), completion.leave
            )
            websocket.carry_completion(json_socket, completion)


@route(blueprint, "/v1/jobs/<job_id>/ws", _holding, _most_bytes)
@describe(
    Operation(
        operation_id="openJobSocket",
        tag="WebSockets",
        summary="A job's events over a WebSocket; the client may send a cancel.",
        description=(
            'Sends what `GET /v1/jobs/{job_id}/events` does. The client may send `{"type": '
            '"cancel"}`; leaving cancels nothing. Closed as `/v1/ws/chat` is.'
        ),
        parameters=(
            intake.JOB_ID,
            query(
                "last_event_id",
                "Send only what comes after the event of this number.",
                {"type": "string"},
            ),
        ),
        answers=_OPENED,
        errors=(errors.JobNotFound, errors.InvalidEventId),
        command=f"websocat ws://127.0.0.1:8085/v1/jobs/{intake.JOB_ID['example']}/ws",
    )
)
def watch(socket: Socket, job_id: str) -> None:
    """Send a job's events from the start, or after `last_event_id`; leaving cancels nothing."""
    json_socket = JsonSocket(socket)
    with _refusing(json_socket), contextlib.ExitStack() as held:
        after = intake.last_event_id(intake.own_job(job_id))
        held.enter_context(services().thread())
        reader = held.enter_context(services().hub.reader(job_id, after_seq=after))
        held.enter_context(services().draining.closing(reader.stop))
        jobs = services().jobs
        json_socket.listen(lambda: jobs.cancel(job_id, "its caller cancelled it"), reader.leave)
        websocket.carry_job(json_socket, reader)


@contextlib.contextmanager
def _refusing(json_socket: JsonSocket) -> Iterator[None]:
    """Let every error end in a message and a close code; a client that has gone is no error."""
    with (
        contextlib.suppress(ConnectionClosed),
        json_socket.closing_on_errors(websocket.REFUSED),
    ):
        yield
