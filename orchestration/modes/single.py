"""Mode `single`: one model answers, and its step's end is the job's end."""

from __future__ import annotations

from orchestration.modes.base import Mode
from orchestration.modes.casting import CastingInputs
from orchestration.modes.registry import register
from orchestration.modes.rounds import History, Next, Round, Step
from workers.contract.job import DEFAULT_MODE, CastMember, Job
from workers.contract.step import ANSWER


@register
class Single(Mode):
    """One step. Its worker writes the terminal event itself: there is nothing to decide."""

    name = DEFAULT_MODE

    @classmethod
    def cast(cls, inputs: CastingInputs) -> tuple[CastMember, ...]:
        """No model beside the one that answers."""
        return ()

    def total_steps(self, job: Job) -> int:
        """See `Mode.total_steps`."""
        return 1

    def plan(self, job: Job) -> Round:
        """See `Mode.plan`."""
        return Round((Step(ANSWER, ANSWER, job.model),), ends_job=True)

    def advance(self, job: Job, history: History) -> Next:
        """Nothing follows; never asked."""
        return self.plan(job)
