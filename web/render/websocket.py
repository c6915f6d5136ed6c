"""WebSockets: one job each, its events as JSON, and what its client may say meanwhile.

Events have the form of `/v1/jobs/{id}/events`. Before the close stands either the job's terminal
event or `{"type": "error", "error": ...}`; the close code tells the two apart without reading.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from redis.exceptions import RedisError
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from web import errors, request_record
from web.edge.websocket import Socket
from web.live.completion import LiveCompletion
from web.live.hub import Reader
from web.render import openai
from web.render.job_events import body, live_events
from web.schemas.body import parse_object
from web.schemas.completion_schema import BOUNDS
from workers.contract.errors import (
    BrokerUnavailable,
    FrontEndStopping,
    InferenceError,
    Internal,
    JobCancelled,
    ValidationFailed,
)
from workers.contract.events import TERMINAL, Completed, Failed
from workers.contract.job import Job

log = logging.getLogger(__name__)

#: Seconds a client has to say what it wants.
FIRST_MESSAGE_WITHIN_S = 60.0
ENDED = CloseCode.NORMAL_CLOSURE
REFUSED = CloseCode.POLICY_VIOLATION
FAILED = CloseCode.INTERNAL_ERROR
#: The front end ends before the job does: it is read on at another.
RESTARTS = CloseCode.SERVICE_RESTART
#: A close frame holds this many bytes of reason at most.
_LONGEST_REASON = 123


class JsonSocket:
    """One socket: what is sent on it, received on it, and how it is closed."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        #: Two threads send: the library would mix their frames.
        self._sending = threading.Lock()

    def first_message(self) -> dict[str, Any]:
        """What the client wants.

        Raises:
            InferenceError: it is no JSON object with a `type`, or none came.
            ConnectionClosed: the client has gone.
        """
        try:
            return _message(self._socket.recv(timeout=FIRST_MESSAGE_WITHIN_S))
        except TimeoutError:
            raise ValidationFailed(
                f"No message came within {FIRST_MESSAGE_WITHIN_S:g} s."
            ) from None

    def send(self, messages: Iterable[dict[str, Any]]) -> None:
        """Send messages, in order.

        Raises:
            ConnectionClosed: the client has gone.
        """
        for message in messages:
            text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
            with self._sending:
                self._socket.send(text)

    def listen(self, cancel: Callable[[], object], on_leave: Callable[[], object]) -> None:
        """Receive from the client on a thread from now on: it may cancel, or leave.

        At the first message that is wrong, and when the thread cannot go on, the client gets the
        error and the socket is closed; then the client counts as one that left.
        """

        def receive() -> None:
            with contextlib.suppress(ConnectionClosed), self.closing_on_errors(FAILED):
                try:
                    while True:
                        self._obey(self._socket.recv(), cancel)
                except InferenceError as error:
                    self.fail(error, REFUSED)
            on_leave()

        threading.Thread(target=receive, name="socket", daemon=True).start()

    @contextlib.contextmanager
    def closing_on_errors(self, code: CloseCode) -> Iterator[None]:
        """Let every error in the block end in a message and a close.

        Args:
            code: How the socket is closed after an error that its client can understand.

        Raises:
            ConnectionClosed: the client has gone.
        """
        try:
            yield
        except ConnectionClosed:
            raise
        except InferenceError as error:
            self.fail(error, code)
        except RedisError as error:
            log.warning("Redis is unavailable: %s", error)
            self.fail(BrokerUnavailable(), code)
        except Exception:
            log.exception("unexpected error, the WebSocket is closed")
            self.fail(Internal(), FAILED)

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Close the socket."""
        self._socket.close(code, reason.encode()[:_LONGEST_REASON].decode(errors="ignore"))

    def fail(self, error: InferenceError, code: CloseCode) -> None:
        """Send an error that is no event of the job, and close the socket."""
        request_record.failed(error.code)
        with contextlib.suppress(OSError):
            self.send([_error(error)])
            self.close(code, error.code)

    def _obey(self, raw: str | bytes, cancel: Callable[[], object]) -> None:
        if _message(raw)["type"] != "cancel":
            raise ValidationFailed(
                'While a job runs, only {"type": "cancel"} may be sent.',
                details={"param": "type"},
            )
        cancel()


def carry_completion(json_socket: JsonSocket, completion: LiveCompletion) -> None:
    """Send a completion's events up to its end, and close."""
    announced = False

    def announce() -> None:
        nonlocal announced
        if completion.accepted and not announced:  # a full service may let it wait in line first
            json_socket.send([_accepted(completion.job)])
            announced = True

    try:
        announce()
        for events in completion.events():
            announce()
            json_socket.send(body(event) for event in events)
    except JobCancelled as cancelled:
        reason = cancelled.details.get("reason", "")
        json_socket.send([{"seq": completion.seq, "type": "cancelled", "reason": reason}])
        json_socket.close(ENDED)
    except FrontEndStopping as stopping:  # not the job's end
        json_socket.fail(stopping, RESTARTS)
    except InferenceError as error:
        request_record.failed(error.code)
        json_socket.send([{"seq": completion.seq, "type": "failed", "error": error.to_dict()}])
        json_socket.close(FAILED, error.code)
    else:
        json_socket.close(ENDED)


def carry_job(json_socket: JsonSocket, reader: Reader) -> None:
    """Send a job's events up to its end, and close."""
    for events in live_events(reader):
        json_socket.send(body(event) for event in events)
        if events and isinstance(events[-1], TERMINAL):
            last = events[-1]
            if isinstance(last, Failed):
                json_socket.close(FAILED, str(last.error.get("code", "")))
            else:
                json_socket.close(ENDED, "" if isinstance(last, Completed) else "cancelled")
            return
    json_socket.close(RESTARTS if reader.stopped else ENDED)


def _message(raw: str | bytes) -> dict[str, Any]:
    message = parse_object(raw.encode() if isinstance(raw, str) else raw, BOUNDS)
    if not isinstance(message.get("type"), str):
        raise ValidationFailed('A message needs a "type".', details={"param": "type"})
    return message


def _error(error: InferenceError) -> dict[str, Any]:
    return {"type": "error", **errors.body(error)}


def _accepted(job: Job) -> dict[str, Any]:
    return {"type": "accepted", "id": job.id, "model": job.model, **openai.routing(job)}
