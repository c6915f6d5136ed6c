"""One job of one step, stored as the front end stores it."""

from workers.contract.job import Job, Message
from workers.contract.step import StepRequest
from workers.store.admission import Terms
from workers.store.jobs import JobStore
from workers.store.planned import PlannedStep

REQUEST = StepRequest("chatcmpl-1", "answer", "m", ends_job=True)


def stored_job(redis):
    """The store that has it."""
    jobs = JobStore(redis)
    job = Job(REQUEST.job_id, REQUEST.model, (Message("user", "hi"),), created=1)
    jobs.store(job, [PlannedStep(REQUEST, {"task": "generate.m"})], Terms(rank=4))
    return jobs
