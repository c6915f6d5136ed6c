"""Mode `pipeline`: one model drafts, others work on its text in turn, the last one answers.

The last stage streams as it is made: nothing comes behind it that could replace it. If it fails
before its first token, or a stage before it cannot be used, the best text so far is the answer.
"""

from __future__ import annotations

from orchestration import prompts
from orchestration.modes import fallbacks
from orchestration.modes.base import Reading
from orchestration.modes.rounds import Answer, FinishedStep, History, Next, Round, Step, logical
from orchestration.prompts import Prompts
from workers.contract.job import Job
from workers.contract.step import ANSWER, Assignment


class Pipeline:
    """Stages, one after the other: those of the job's cast."""

    def __init__(self, templates: Prompts) -> None:
        self._templates = templates

    def total_steps(self, job: Job) -> int:
        """See `Mode.total_steps`."""
        return len(job.cast)

    def plan(self, job: Job) -> Round:
        """See `Mode.plan`."""
        return Round((self._stage(job, 0, "", "draft"),))

    def advance(self, job: Job, story: History) -> Next:
        """See `Mode.advance`."""
        stages = list(story.done.values())
        last, total = stages[-1], self.total_steps(job)
        if last.usable and len(stages) < total:
            return Round((self._stage(job, len(stages), last.text),))
        if last.usable:
            return Answer(last, total)
        return fallbacks.fall_back(stages, total)

    def read(self, _job: Job, _done: FinishedStep) -> Reading:
        """See `Mode.read`."""
        return Reading()

    def fresh(self, job: Job, done: FinishedStep) -> Assignment | None:
        """The caller's request alone, in the same place of the plan."""
        number = _names(job).index(logical(done.step.name))
        return self._stage(job, number, "", "draft").assignment

    def _stage(self, job: Job, number: int, text: str, template: str | None = None) -> Step:
        part = job.cast[number]
        told = prompts.describe([one.part for one in job.cast], number + 1)
        values = {"previous": text} if template is None else {}
        messages = self._templates.messages(job, template or part.part, told, **values)
        return Step(_names(job)[number], part.part, part.model, Assignment(messages, job.sampling))


def _names(job: Job) -> list[str]:
    """Names of the steps: of the part, numbered where it comes twice; the last one answers."""
    parts = [part.part for part in job.cast]
    names = [
        f"{part}-{parts[: at + 1].count(part)}" if parts.count(part) > 1 else part
        for at, part in enumerate(parts)
    ]
    return [*names[:-1], ANSWER]
