"""An answer as the events of a stream of Anthropic's API.

Content comes in blocks, one after the other: each is begun, gets deltas, and is ended before the
next. A block's kind is that of what a token carries, a call's its number in the answer.
"""

from __future__ import annotations

from typing import Any

from web import anthropic_errors
from web.errors import STATUS
from web.render import sse
from web.render.answer_streams import AnswerStream, Bodies
from web.render.anthropic import message
from workers.contract.errors import InferenceError
from workers.contract.events import Completed, Event, Token
from workers.contract.job import Job
from workers.contract.tools import CallPart, join

_THINKING, _TEXT = "thinking", "text"


class MessageStream(AnswerStream):
    """Events of one message."""

    done = b""

    def __init__(
        self, job: Job, *, shows_thoughts: bool = True, request_id: str | None = None
    ) -> None:
        """`request_id`: of the request that reads it, for an error."""
        super().__init__(job)
        self._shows_thoughts = shows_thoughts
        self._request_id = request_id
        #: The block that is open: its kind, or the number of its call; None: none is.
        self._open: str | int | None = None
        #: Blocks that were begun.
        self._blocks = 0
        self._begun = False

    def begin(self) -> Bodies:
        """The message without content; its usage comes at the end."""
        self._begun = True
        return [{"type": "message_start", "message": message.begun(self._job)}]

    def of(self, event: Event) -> Bodies:
        """See `AnswerStream.of`; the beginning comes first, where it was not asked for: clients
        take no block before it.
        """
        shown = super().of(event)
        return [*self.begin(), *shown] if shown and not self._begun else shown

    def take(self, token: Token) -> Bodies:
        """See `AnswerStream.take`."""
        bodies: Bodies = []
        if token.reasoning and self._shows_thoughts:
            bodies += self._enter(_THINKING, {"type": _THINKING, "thinking": "", "signature": ""})
            bodies += self._delta("thinking_delta", thinking=token.reasoning)
        if token.text:
            bodies += self._enter(_TEXT, {"type": _TEXT, "text": ""})
            bodies += self._delta("text_delta", text=token.text)
        for part in join(token.calls):
            bodies += self._call(part)
        return bodies

    def end(self, completed: Completed) -> Bodies:
        """See `AnswerStream.end`."""
        told = message.stop(self._job, completed.outcome)
        usage = message.delta_usage(self._job, completed)
        return [
            *self._leave(),
            {"type": "message_delta", "delta": told, "usage": usage},
            {"type": "message_stop"},
        ]

    def failure(self, error: InferenceError) -> Bodies:
        """See `AnswerStream.failure`."""
        return [anthropic_errors.body(error, STATUS[error.code], self._request_id)]

    def frame(self, seq: int, body: dict[str, Any]) -> bytes:
        """An event with its type's name, by which clients tell them apart."""
        return sse.frame(seq, body, body["type"])

    def _call(self, part: CallPart) -> Bodies:
        bodies: Bodies = []
        if self._open != part.index:
            bodies += self._enter(part.index, message.tool_use(part, {}))
        if part.arguments:
            bodies += self._delta("input_json_delta", partial_json=part.arguments)
        return bodies

    def _enter(self, kind: str | int, block: dict[str, Any]) -> Bodies:
        """Begin a block, unless it is open."""
        if self._open == kind:
            return []
        ended = self._leave()
        self._open, self._blocks = kind, self._blocks + 1
        index = self._blocks - 1
        return [*ended, {"type": "content_block_start", "index": index, "content_block": block}]

    def _leave(self) -> Bodies:
        """End the open block; a thought is signed first."""
        if self._open is None:
            return []
        signed: Bodies = []
        if self._open == _THINKING:
            signed = self._delta("signature_delta", signature=message.SIGNATURE)
        self._open = None
        return [*signed, {"type": "content_block_stop", "index": self._blocks - 1}]

    def _delta(self, kind: str, **said: str) -> Bodies:
        delta = {"type": kind, **said}
        return [{"type": "content_block_delta", "index": self._blocks - 1, "delta": delta}]
