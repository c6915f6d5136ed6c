"""The choices of an answer, gathered from a job's events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from workers.contract.events import Completed, Event, StepFinished, Token
from workers.contract.job import Job
from workers.contract.step import choice_of, is_answer


@dataclass(slots=True)
class Choice:
    """One of the answers to a request."""

    tokens: list[Token] = field(default_factory=list)
    finish_reason: str = ""

    @property
    def text(self) -> str:
        """What it says."""
        return "".join(token.text for token in self.tokens)


def gather(job: Job, events: Iterable[Event]) -> tuple[list[Choice], Completed]:
    """The choices by their index, from all events of a job that has completed, and its end.

    Raises:
        ValueError: it has not completed.
    """
    choices = [Choice() for _ in range(job.choices)]
    completed = None
    for event in events:
        if isinstance(event, Token) and is_answer(event.step):
            choices[choice_of(event.step)].tokens.append(event)
        elif isinstance(event, StepFinished) and job.choices > 1:
            choices[choice_of(event.outcome.step)].finish_reason = event.outcome.finish_reason
        elif isinstance(event, Completed):
            completed = event
    if completed is None:
        raise ValueError(f"{job.id} has not completed")
    if job.choices == 1:
        choices[0].finish_reason = completed.outcome.finish_reason
    return choices, completed
