"""A response as the typed events of a stream, each with its number.

Events and their numbers follow from the job's log alone. So any reader, in any front end, at any
time, sees the same ones, and can go on after any of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from web.render import openai, sse
from web.render.answer_streams import AnswerStream, Bodies
from web.render.response.output import COMPLETED, INCOMPLETE, Output
from workers.contract.errors import InferenceError
from workers.contract.events import Cancelled, Completed, Event, Failed, Started, Token
from workers.contract.job import Job
from workers.contract.step import Usage

_QUEUED, _IN_PROGRESS, _FAILED, _CANCELLED = "queued", "in_progress", "failed", "cancelled"


class ResponseStream(AnswerStream):
    """Events of one response, from its job's events in their order."""

    done = b""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._shown = dict(job.response or {})
        self._output = Output(job)
        self._next = 0
        self._status = _QUEUED if self._shown.get("background") else _IN_PROGRESS
        #: What is known at its end.
        self._end: dict[str, Any] = {}

    @property
    def response(self) -> dict[str, Any]:
        """The response as it is now."""
        job, sampling = self._job, self._job.sampling
        return {
            "id": job.id,
            "object": "response",
            "created_at": job.created,
            "status": self._status,
            "error": None,
            "incomplete_details": None,
            "model": job.model,
            "output": self._output.items,
            **self._shown,
            "max_output_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "store": bool(job.store),
            "metadata": dict(job.metadata),
            "user": job.user,
            "usage": None,
            **self._end,
        }

    @property
    def last_number(self) -> int:
        """Number of the last event."""
        return self._next - 1

    def begin(self) -> Bodies:
        """That it was created, and what it waits for."""
        return self._numbered([self._of_response("created"), self._of_response(self._status)])

    def of(self, event: Event) -> Bodies:
        """See `AnswerStream.of`; the beginning comes first, where it was not asked for."""
        begun = [] if self._next else self.begin()
        return [*begun, *self._told(event)]

    def _told(self, event: Event) -> Bodies:
        match event:
            case Started() if self._status == _QUEUED:
                self._status = _IN_PROGRESS
                return self._numbered([self._of_response(_IN_PROGRESS)])
            case Failed():
                error = event.exception()
                return self._end_early(
                    _FAILED, _FAILED, error={"code": error.code, "message": error.message}
                )
            case Cancelled():  # that API's streams have no event of their own for it
                return self._end_early(_CANCELLED, INCOMPLETE)
        return super().of(event)

    def take(self, token: Token) -> Bodies:
        """See `AnswerStream.take`."""
        return self._numbered(self._output.take(token))

    def end(self, completed: Completed) -> Bodies:
        """See `AnswerStream.end`."""
        cut = completed.outcome.finish_reason == "length"
        self._status = INCOMPLETE if cut else COMPLETED
        bodies = self._output.end(self._status)
        details = {"incomplete_details": {"reason": "max_output_tokens"}} if cut else {}
        used = _usage(completed.outcome.usage)
        self._end = {**details, "usage": used, **openai.about(self._job, completed)}
        return self._numbered([*bodies, self._of_response(self._status)])

    def failure(self, error: InferenceError) -> Bodies:
        """That it can be read no longer here. It is no event of the response, which may go on: who
        reads on elsewhere does so after the number that this has, too.
        """
        said = {"code": error.code, "message": error.message, "param": None}
        return [{"type": "error", "sequence_number": max(0, self.last_number), **said}]

    @property
    def ended(self) -> bool:
        """See `AnswerStream.ended`."""
        return self._status not in (_QUEUED, _IN_PROGRESS)

    def frame(self, seq: int, body: dict[str, Any]) -> bytes:
        """An event with its type's name, and its own number."""
        return sse.frame(body["sequence_number"], body, body["type"])

    def _end_early(self, status: str, what: str, **known: Any) -> Bodies:
        bodies = self._output.end(INCOMPLETE)
        self._status, self._end = status, known
        return self._numbered([*bodies, self._of_response(what)])

    def _of_response(self, what: str) -> dict[str, Any]:
        return {"type": f"response.{what}", "response": self.response}

    def _numbered(self, bodies: Bodies) -> Bodies:
        numbered = [
            {"type": body["type"], "sequence_number": number, **body}
            for number, body in enumerate(bodies, self._next)
        ]
        self._next += len(bodies)
        return numbered


def replayed(job: Job, events: Iterable[Event]) -> ResponseStream:
    """The stream of a response as it is after these events, from the first on."""
    stream = ResponseStream(job)
    stream.begin()
    for event in events:
        stream.of(event)
    return stream


def whole(job: Job, events: Iterable[Event]) -> dict[str, Any]:
    """The response after these events."""
    return replayed(job, events).response


def _usage(used: Usage) -> dict[str, Any]:
    return {
        "input_tokens": used.prompt_tokens,
        "input_tokens_details": {"cached_tokens": used.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": used.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
        "total_tokens": used.total_tokens,
    }
