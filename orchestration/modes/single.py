"""Mode `single`: one model answers, and its step's end is the job's end."""

from __future__ import annotations

from orchestration.modes.base import Reading
from orchestration.modes.rounds import FinishedStep, History, Next, Round, Step
from workers.contract.job import Job
from workers.contract.step import ANSWER, Assignment


class Single:
    """One step. Its worker writes the terminal event itself: there is nothing to decide."""

    def total_steps(self, _job: Job) -> int:
        """See `Mode.total_steps`."""
        return 1

    def plan(self, job: Job) -> Round:
        """See `Mode.plan`."""
        return Round((Step(ANSWER, ANSWER, job.model),), ends_job=True)

    def advance(self, job: Job, _story: History) -> Next:
        """Nothing follows; never asked."""
        return self.plan(job)

    def read(self, _job: Job, _done: FinishedStep) -> Reading:
        """See `Mode.read`."""
        return Reading()

    def fresh(self, _job: Job, done: FinishedStep) -> Assignment | None:
        """See `Mode.fresh`."""
        return done.step.assignment
