"""From contract events to the bodies of OpenAI's `/v1/completions`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from web.render import logprobs, openai
from web.render.choices import gather
from workers.contract.events import Completed, Event, Token
from workers.contract.job import Job
from workers.contract.step import Outcome, choice_of


def completion(job: Job, events: Iterable[Event]) -> dict[str, Any]:
    """The body of a plain answer, from all events of a job that has completed."""
    choices, completed = gather(job, events)
    described = [
        _choice(index, choice.text, choice.finish_reason, logprobs.of_text(job, choice.tokens))
        for index, choice in enumerate(choices)
    ]
    return {
        **_body(job, described),
        "usage": openai.usage(completed.outcome.usage),
        **openai.about(job, completed),
    }


def part(job: Job, token: Token, logprobs: dict[str, Any] | None) -> dict[str, Any]:
    """A frame of a stream, with a part of a choice."""
    return _body(job, [_choice(choice_of(token.step), token.text, None, logprobs)])


def choice_end(job: Job, outcome: Outcome) -> dict[str, Any]:
    """The frame that says how one choice of several ended."""
    return _body(job, [_choice(choice_of(outcome.step), "", outcome.finish_reason)])


def last_part(job: Job, completed: Completed) -> dict[str, Any]:
    """The frame that says how the answer ended; where it has several choices, each has said it."""
    ends = [] if job.choices > 1 else [_choice(0, "", completed.outcome.finish_reason)]
    return {**_body(job, ends), **openai.about(job, completed)}


def usage_part(job: Job, completed: Completed) -> dict[str, Any]:
    """The frame with the usage, for those who asked for it."""
    return {**_body(job, []), "usage": openai.usage(completed.outcome.usage)}


def _choice(
    index: int, text: str, finish_reason: str | None, logprobs: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish_reason}


def _body(job: Job, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": job.id,
        "object": "text_completion",
        "created": job.created,
        "model": job.model,
        "choices": choices,
    }
