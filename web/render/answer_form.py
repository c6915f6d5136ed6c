"""The form of an answer: how it is shown whole, and how as a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from web.render import answer_streams, answers
from web.render.answer_streams import AnswerStream
from workers.contract.events import Event
from workers.contract.job import Job


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What a caller reads."""

    #: The body of a whole answer, from all events of a job that has completed.
    whole: Callable[[Job, Iterable[Event]], dict[str, Any]]
    #: What makes the frames of a stream.
    stream: Callable[[Job], AnswerStream]


def of_api(*, with_usage: bool) -> AnswerForm:
    """The bodies of the address at which a job was asked for, as its record names it."""
    return AnswerForm(answers.completion, lambda job: answer_streams.of(job, with_usage=with_usage))
