"""An answer as a stream, in the bodies of the address at which it was asked for."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from web import errors
from web.render import infill, openai, sse, texts
from web.render.logprobs import AnswerLogprobs, TextLogprobs
from workers.contract.errors import InferenceError
from workers.contract.events import Completed, Event, StepFinished, Token
from workers.contract.job import Api, Job
from workers.contract.step import Outcome, choice_of, is_answer

Bodies = list[dict[str, Any]]


class AnswerStream(abc.ABC):
    """Makes the bodies of the frames of one answer."""

    #: The last frame.
    done: ClassVar[bytes] = sse.DONE

    def __init__(self, job: Job) -> None:
        self._job = job

    @abc.abstractmethod
    def begin(self) -> Bodies:
        """What stands before the first token."""

    def of(self, event: Event) -> Bodies:
        """What an event of the job shows; nothing where that is nothing yet."""
        if isinstance(event, Token) and is_answer(event.step):
            return self.take(event)
        if isinstance(event, StepFinished) and self._job.choices > 1:
            return self.end_choice(event.outcome)
        return self.end(event) if isinstance(event, Completed) else []

    @abc.abstractmethod
    def take(self, token: Token) -> Bodies:
        """What a token of the answer shows."""

    def end_choice(self, outcome: Outcome) -> Bodies:
        """How one choice of several ended; nothing where there is one."""
        return []

    @abc.abstractmethod
    def end(self, completed: Completed) -> Bodies:
        """How the answer ended, or the last of its choices."""

    @property
    def ended(self) -> bool:
        """It has shown that its job failed, as an event of its own."""
        return False

    def failure(self, error: InferenceError) -> Bodies:
        """That it ended with an error, after its status was sent."""
        return [errors.body(error)]

    def frame(self, seq: int, body: dict[str, Any]) -> bytes:
        """The frame of a body that comes with the event of this number."""
        return sse.frame(seq, body)


class ChatStream(AnswerStream):
    """Chunks of a chat completion."""

    def __init__(self, job: Job, *, with_usage: bool) -> None:
        super().__init__(job)
        self._with_usage = with_usage
        self._logprobs = AnswerLogprobs(job)

    def begin(self) -> Bodies:
        """Who speaks, for each choice."""
        role = {"role": "assistant"}
        return [openai.chunk(self._job, role, index) for index in range(self._job.choices)]

    def take(self, token: Token) -> Bodies:
        """See `AnswerStream.take`."""
        logprobs = self._logprobs.take(token)
        delta = openai.delta(self._job, token)
        index = choice_of(token.step)
        return [openai.chunk(self._job, delta, index, logprobs)] if delta else []

    def end_choice(self, outcome: Outcome) -> Bodies:
        """See `AnswerStream.end_choice`."""
        return [openai.choice_chunk(self._job, outcome)]

    def end(self, completed: Completed) -> Bodies:
        """See `AnswerStream.end`."""
        usage = [openai.usage_chunk(self._job, completed)] if self._with_usage else []
        return [openai.last_chunk(self._job, completed), *usage]


class TextStream(AnswerStream):
    """Parts of a text completion."""

    def __init__(self, job: Job, *, with_usage: bool) -> None:
        super().__init__(job)
        self._with_usage = with_usage
        self._steps: dict[str, TextLogprobs] = {}

    def begin(self) -> Bodies:
        """Nothing: texts have no roles."""
        return []

    def take(self, token: Token) -> Bodies:
        """See `AnswerStream.take`."""
        logprobs = None
        if self._job.sampling.logprobs is not None:
            logprobs = self._steps.setdefault(token.step, TextLogprobs()).take(token)
        return [texts.part(self._job, token, logprobs)] if token.text else []

    def end_choice(self, outcome: Outcome) -> Bodies:
        """See `AnswerStream.end_choice`."""
        return [texts.choice_end(self._job, outcome)]

    def end(self, completed: Completed) -> Bodies:
        """See `AnswerStream.end`."""
        usage = [texts.usage_part(self._job, completed)] if self._with_usage else []
        return [texts.last_part(self._job, completed), *usage]


class InfillStream(AnswerStream):
    """Parts of what fills a gap; llama-server sends no `[DONE]` after them."""

    done = b""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._tokens = 0

    def begin(self) -> Bodies:
        """Nothing."""
        return []

    def take(self, token: Token) -> Bodies:
        """See `AnswerStream.take`."""
        self._tokens += len(token.token_ids)
        return [infill.part(token, self._tokens)] if token.text else []

    def end(self, completed: Completed) -> Bodies:
        """See `AnswerStream.end`."""
        return [infill.last_part(self._job, completed)]


def of(job: Job, *, with_usage: bool) -> AnswerStream:
    """The stream that a job's caller reads."""
    match job.api:
        case Api.TEXT:
            return TextStream(job, with_usage=with_usage)
        case Api.INFILL:
            return InfillStream(job)
        case _:
            return ChatStream(job, with_usage=with_usage)
