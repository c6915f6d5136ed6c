"""The history of a conversation with one model, shortened where its caller asks for that.

Old turns are shortened when the whole conversation leaves the answer less than its part. System
messages and the last user's turn are sent as they came, always. What was said before stands then in
one exchange before the question, since templates want turns to alternate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestration.context import compression, reading_steps
from orchestration.context.compression import Compressed
from orchestration.context.handed_on import HandedOn
from orchestration.conversation import Conversation
from orchestration.handoff import begin
from orchestration.modes.rounds import FinishedStep, Step
from orchestration.prompts.history import HISTORY
from orchestration.prompts.rendering import Prompts
from workers.contract.job import Job, Message
from workers.contract.step import Outcome

#: Name of the source that the old turns are, in the names of the steps that shorten them.
NAME = "history"
_TAKEN = "I know what was said before."


def source(job: Job) -> FinishedStep:
    """The old turns, as if a step had written them."""
    outcome = Outcome.without_run(NAME, job.model, "stop")
    text = Conversation.of(job.messages).old_text()
    return FinishedStep(Step(NAME, NAME, job.model), 0, text, outcome)


def read(job: Job, readers: Sequence[FinishedStep]) -> HandedOn:
    """The old turns, and what these readers have made of them."""
    written, before = source(job), begin(job, 1)
    made = compression.read(job, written, readers, before)
    return HandedOn(replace(written, shortened=None if made is None else made.text), made, before)


def messages(prompts: Prompts, job: Job, made: Compressed | None) -> tuple[Message, ...]:
    """The conversation with its old turns as they are now."""
    if made is None or made.text is None:
        return job.messages
    parts = Conversation.of(job.messages)
    told = prompts.render(HISTORY, {"text": made.text, **_lists(made)})
    return (*parts.system, Message("user", told), Message("assistant", _TAKEN), *parts.last)


def report(job: Job, made: Compressed | None, plan: Mapping[str, Any] | None) -> dict[str, Any]:
    """What `orchestration` says of it: nothing where nothing was shortened."""
    if made is None or made.text is None or plan is None:
        return {}
    tokens = plan["parts"]["handoff"]
    written = source(job)
    kept = {name: len(entries) for name, entries in _lists(made).items()}
    facts = len(compression.to_keep(job, begin(job, 1), written.text))
    return {
        "compression": {
            "before": tokens["asked"],
            "after": tokens["got"],
            "passes": made.passes,
            "model": reading_steps.reader_of(job, written),
            "kept": {**kept, "facts": facts},
        }
    }


def _lists(made: Compressed) -> dict[str, tuple[str, ...]]:
    return {**made.settled.lists(), "errors": made.errors}
