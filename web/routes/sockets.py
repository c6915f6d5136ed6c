"""`/v1/ws/chat` and `/v1/jobs/{id}/ws`: WebSockets."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from flask import Flask
from flask_sock import Sock
from redis.exceptions import RedisError
from simple_websocket import ConnectionClosed, Server

from web import errors, intake
from web.render import job_events, websocket
from web.render.websocket import Conversation
from web.routes.jobs import find
from web.services import services
from workers.contract.errors import InferenceError, Internal, ValidationFailed

log = logging.getLogger(__name__)

sock = Sock()


def install(app: Flask) -> None:
    """Let the application take WebSockets."""
    app.config["SOCK_SERVER_OPTIONS"] = websocket.OPTIONS
    sock.init_app(app)


@sock.route("/v1/ws/chat")
def chat(socket: Server) -> None:
    """Take one completion as `{"type": "chat", ...}`, and tell its events."""
    conversation = Conversation(socket)
    with _closing(conversation), services().place():
        message = conversation.ask()
        if message.pop("type") != "chat":
            raise ValidationFailed(
                'The first message must have the type "chat".', details={"param": "type"}
            )
        asked = intake.read(message)
        job = intake.job(asked)
        with services().live_completions.open(job, idempotency=asked.idempotency) as exchange:
            conversation.listen(lambda: exchange.cancel("its caller cancelled it"), exchange.leave)
            websocket.carry_exchange(conversation, exchange)


@sock.route("/v1/jobs/<job_id>/ws")
def watch(socket: Server, job_id: str) -> None:
    """Tell a job's events from the start, or behind `last_event_id`; leaving cancels nothing."""
    conversation = Conversation(socket)
    with _closing(conversation), contextlib.ExitStack() as held:
        found = services()
        after = job_events.last_event_id(find(job_id))
        held.enter_context(found.place())
        reader = held.enter_context(found.hub.reader(job_id, after_seq=after))
        conversation.listen(
            lambda: found.jobs.cancel(job_id, "its caller cancelled it"), reader.leave
        )
        websocket.carry_job(conversation, reader)


@contextlib.contextmanager
def _closing(conversation: Conversation) -> Iterator[None]:
    """Let every error end in a message and a close code."""
    try:
        with contextlib.suppress(ConnectionClosed):
            try:
                yield
            except InferenceError as error:
                conversation.refuse(error)
            except RedisError as error:
                log.warning("Redis is away: %s", error)
                conversation.refuse(errors.broker_unavailable())
    except Exception:
        log.exception("a socket failed in a way nobody foresaw")
        with contextlib.suppress(ConnectionClosed, OSError):
            conversation.tell([{"type": "error", **errors.body(Internal())}])
            conversation.close(websocket.FAILED, Internal.code)
