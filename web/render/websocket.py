"""WebSockets: one job each, its events as JSON, and what its client may say meanwhile.

Events have the form of `/v1/jobs/{id}/events`. Before the close stands either the job's terminal
event or `{"type": "error", "error": ...}`; the close code tells the two apart without reading.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from simple_websocket import ConnectionClosed, Server
from wsproto.frame_protocol import CloseReason

from web import errors
from web.live.completion import LiveCompletion
from web.live.hub import Reader
from web.render import openai
from web.render.job_events import live_events
from web.schemas.body import parse_object
from web.schemas.completion import BOUNDS
from workers.contract.errors import InferenceError, JobCancelled, ValidationFailed
from workers.contract.events import TERMINAL, Completed, Event, Failed
from workers.contract.job import Job

log = logging.getLogger(__name__)

#: Options of every socket, under flask-sock's names. A line that is idle is kept alive, and one
#: whose client does not answer is closed.
OPTIONS = {"ping_interval": 25, "max_message_size": 16 * 2**20}
#: Seconds a client has to say what it wants.
ASK_WITHIN_S = 60.0
ENDED = CloseReason.NORMAL_CLOSURE
REFUSED = CloseReason.POLICY_VIOLATION
FAILED = CloseReason.INTERNAL_ERROR
#: A close frame holds this many bytes of reason at most.
_LONGEST_REASON = 123


class Conversation:
    """One socket: what is told on it, heard on it, and how it is closed."""

    def __init__(self, socket: Server) -> None:
        self._socket = socket

    def ask(self) -> dict[str, Any]:
        """The client's first message.

        Raises:
            InferenceError: it is no JSON object with a `type`, or none came.
            ConnectionClosed: the client has gone.
        """
        raw = self._socket.receive(timeout=ASK_WITHIN_S)
        if raw is None:
            raise ValidationFailed(f"No message came within {ASK_WITHIN_S:g} s.")
        return _message(raw)

    def tell(self, messages: Iterable[dict[str, Any]]) -> None:
        """Send messages, in order.

        Raises:
            ConnectionClosed: the client has gone.
        """
        for message in messages:
            self._socket.send(json.dumps(message, separators=(",", ":"), ensure_ascii=False))

    def listen(self, cancel: Callable[[], object], on_leave: Callable[[], object]) -> None:
        """Hear the client on a thread from now on: it may cancel, or leave."""

        def hear() -> None:
            try:
                while True:
                    self._heed(self._socket.receive(), cancel)
            except ConnectionClosed:
                on_leave()
            except Exception:
                log.exception("a client cannot be heard any longer")

        threading.Thread(target=hear, name="socket", daemon=True).start()

    def refuse(self, error: InferenceError) -> None:
        """Tell an error and close: nothing runs for this client."""
        self.tell([{"type": "error", **errors.body(error)}])
        self.close(REFUSED, error.code)

    def close(self, code: CloseReason, reason: str = "") -> None:
        """Close the socket."""
        self._socket.close(code, reason[:_LONGEST_REASON])

    def _heed(self, raw: str | bytes, cancel: Callable[[], object]) -> None:
        try:
            if _message(raw)["type"] != "cancel":
                raise ValidationFailed(
                    'Only {"type": "cancel"} can be said while a job runs.',
                    details={"param": "type"},
                )
            cancel()
        except InferenceError as error:
            self.tell([{"type": "error", **errors.body(error)}])


def carry_exchange(conversation: Conversation, exchange: LiveCompletion) -> None:
    """Tell an exchange's events up to its end, and close."""
    accepted = False

    def tell_acceptance() -> None:
        nonlocal accepted
        if exchange.entered and not accepted:  # a full service may let it wait outside first
            conversation.tell([_accepted(exchange.job)])
            accepted = True

    try:
        tell_acceptance()
        for events in exchange.events():
            tell_acceptance()
            conversation.tell(_frame(event) for event in events)
    except JobCancelled as cancelled:
        reason = cancelled.details.get("reason", "")
        conversation.tell([{"seq": exchange.seq, "type": "cancelled", "reason": reason}])
        conversation.close(ENDED)
    except InferenceError as error:
        conversation.tell([{"seq": exchange.seq, "type": "failed", "error": error.to_dict()}])
        conversation.close(FAILED, error.code)
    else:
        conversation.close(ENDED)


def carry_job(conversation: Conversation, reader: Reader) -> None:
    """Tell a job's events up to its end, and close."""
    for events in live_events(reader):
        conversation.tell(_frame(event) for event in events)
        if events and isinstance(events[-1], TERMINAL):
            last = events[-1]
            if isinstance(last, Failed):
                conversation.close(FAILED, str(last.error.get("code", "")))
            else:
                conversation.close(ENDED, "" if isinstance(last, Completed) else "cancelled")
            return
    conversation.close(ENDED)


def _message(raw: str | bytes) -> dict[str, Any]:
    message = parse_object(raw.encode() if isinstance(raw, str) else raw, BOUNDS)
    if not isinstance(message.get("type"), str):
        raise ValidationFailed('A message needs a "type".', details={"param": "type"})
    return message


def _accepted(job: Job) -> dict[str, Any]:
    return {"type": "accepted", "id": job.id, "model": job.model, **openai.routing(job)}


def _frame(event: Event) -> dict[str, Any]:
    return {"seq": event.seq, **event.payload()}
