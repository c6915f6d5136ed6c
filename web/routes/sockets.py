"""`/v1/ws/chat` and `/v1/jobs/{id}/ws`: WebSockets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from flask import Flask
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server

from web import intake
from web.render import websocket
from web.render.websocket import Conversation
from web.routes.jobs import find
from web.services import services
from workers.contract.errors import ValidationFailed

sock = Sock()


def install(app: Flask) -> None:
    """Let the application take WebSockets."""
    app.config["SOCK_SERVER_OPTIONS"] = websocket.OPTIONS
    sock.init_app(app)


@sock.route("/v1/ws/chat")
def chat(socket: Server) -> None:
    """Take one completion as `{"type": "chat", ...}`, and send its events."""
    conversation = Conversation(socket)
    with _refusing(conversation), services().thread():
        message = conversation.first_message()
        if message.pop("type") != "chat":
            raise ValidationFailed(
                'The first message must have the type "chat".', details={"param": "type"}
            )
        asked = intake.read(message)
        job = intake.job(asked)
        with services().live_completions.open(job, idempotency=asked.idempotency) as completion:
            conversation.listen(
                lambda: completion.cancel("its caller cancelled it"), completion.leave
            )
            websocket.carry_completion(conversation, completion)


@sock.route("/v1/jobs/<job_id>/ws")
def watch(socket: Server, job_id: str) -> None:
    """Send a job's events from the start, or after `last_event_id`; leaving cancels nothing."""
    conversation = Conversation(socket)
    with _refusing(conversation), contextlib.ExitStack() as held:
        after = intake.last_event_id(find(job_id))
        held.enter_context(services().thread())
        reader = held.enter_context(services().hub.reader(job_id, after_seq=after))
        jobs = services().jobs
        conversation.listen(lambda: jobs.cancel(job_id, "its caller cancelled it"), reader.leave)
        websocket.carry_job(conversation, reader)


@contextlib.contextmanager
def _refusing(conversation: Conversation) -> Iterator[None]:
    """Let every error end in a message and a close code; a client that has gone is no error."""
    with (
        contextlib.suppress(ConnectionClosed),
        conversation.closing_on_errors(websocket.REFUSED),
    ):
        yield
