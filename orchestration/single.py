"""Mode `single`: one model answers."""

from __future__ import annotations

from workers.contract.job import Job, StepRequest

#: Name of the step whose tokens are the answer.
ANSWER = "answer"


def plan(job: Job) -> tuple[StepRequest, ...]:
    """One step, whose end is the job's end: the worker itself writes the terminal event."""
    return (StepRequest(job_id=job.id, step=ANSWER, model=job.model, ends_job=True),)
