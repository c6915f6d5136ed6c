"""Jobs as their callers see them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from orchestration.submit import Accepted
from web import errors
from web.render import answers, openai
from workers.contract.errors import InferenceError
from workers.contract.events import Cancelled, Completed, Event, Failed
from workers.contract.fields import without_none
from workers.contract.job import Job
from workers.contract.step import Outcome, StepState, Timings
from workers.store.records import JobEntry, JobRecord, StepRecord
from workers.store.webhook_attempts import Attempt


def address(job_id: str) -> str:
    """Where the job is asked after."""
    return f"/v1/jobs/{job_id}"


def accepted(taken: Accepted) -> dict[str, Any]:
    """A job that was just stored."""
    job = taken.job
    return {
        "id": job.id,
        "object": "job",
        "state": "queued",
        "model": job.model,
        "priority": job.priority.value,
        "created": job.created,
        **openai.routing(job),
        **_addresses(job.id),
        **_waiting(taken.position, taken.wait_s),
    }


def entry(listed: JobEntry) -> dict[str, Any]:
    """A job in a list."""
    ended = {} if listed.ended_ms is None else {"ended": listed.ended_ms // 1000}
    return {
        "id": listed.id,
        "object": "job",
        "state": listed.state.value,
        "model": listed.model,
        "priority": listed.priority.value,
        "created": listed.created_ms // 1000,
        **ended,
    }


def running(
    record: JobRecord, position: int | None = None, wait_s: float | None = None
) -> dict[str, Any]:
    """A job that has not ended; with its place in the queue where it waits."""
    return {**_described(record), **({} if position is None else _waiting(position, wait_s))}


def ended(record: JobRecord, events: list[Event], attempts: list[Attempt]) -> dict[str, Any]:
    """A job that has ended, with its result or error, and what became of its webhook."""
    at = {} if record.ended_ms is None else {"ended": record.ended_ms // 1000}
    webhook = (
        {} if record.job.webhook is None else {"webhook": _webhook(record.job.webhook, attempts)}
    )
    return {**_described(record), **at, **_end(record.job, events), **webhook}


def _waiting(position: int, wait_s: float | None) -> dict[str, Any]:
    estimate = {} if wait_s is None else {"estimated_wait_s": round(wait_s, 1)}
    return {"position": position, **estimate}


def _webhook(url: str, attempts: list[Attempt]) -> dict[str, Any]:
    return {
        "url": url,
        "delivered": any(attempt.delivered for attempt in attempts),
        "attempts": [without_none(asdict(attempt)) for attempt in attempts],
    }


def _described(record: JobRecord) -> dict[str, Any]:
    """What every job has. What is not known is left out."""
    job = record.job
    outcomes = [step.outcome for step in record.steps if step.outcome is not None]
    measured = {"timings_ms": _timings(outcomes)} if outcomes else {}
    return {
        "id": job.id,
        "object": "job",
        "state": record.state.value,
        "model": job.model,
        "priority": job.priority.value,
        "created": record.created_ms // 1000,
        **openai.routing(job),
        **_kept_for_caller(job),
        **({} if record.deadline_ms is None else {"deadline": record.deadline_ms // 1000}),
        **_addresses(job.id),
        "attempt": max((step.attempt for step in record.steps), default=0),
        "steps": [_step(step, over=record.ended_ms is not None) for step in record.steps],
        **measured,
    }


def _kept_for_caller(job: Job) -> dict[str, Any]:
    """What the job's caller sent to be kept with it."""
    metadata = {"metadata": dict(job.metadata)} if job.metadata else {}
    return {**metadata, **without_none({"store": job.store, "user": job.user}), **openai.tier(job)}


def _addresses(job_id: str) -> dict[str, str]:
    return {"status_url": address(job_id), "events_url": f"{address(job_id)}/events"}


def _step(step: StepRecord, *, over: bool) -> dict[str, Any]:
    outcome = step.outcome
    stopped = over and step.state is not StepState.DONE
    described: dict[str, Any] = {
        "step": step.step,
        "part": step.part,
        "model": step.model,
        "state": "stopped" if stopped else step.state.value,
        "attempt": step.attempt,
    }
    if outcome is not None and step.state is StepState.DONE:
        described["finish_reason"] = outcome.finish_reason
        if outcome.error is not None:
            described["error"] = errors.body(InferenceError.from_dict(outcome.error))["error"]
        described["usage"] = openai.usage(outcome.usage)
        described["timings_ms"] = _timings([outcome])
    if step.plan is not None:
        described["plan"] = dict(step.plan)
    if step.validation is not None:
        described["validation"] = dict(step.validation)
    return described


def _timings(outcomes: Iterable[Outcome]) -> dict[str, float]:
    return sum((outcome.timings for outcome in outcomes), start=Timings()).rounded()


def _end(job: Job, events: list[Event]) -> dict[str, Any]:
    last = events[-1] if events else None
    if isinstance(last, Completed):
        return {"result": answers.completion(job, events)}
    if isinstance(last, Failed):
        return errors.body(last.exception())
    if isinstance(last, Cancelled):
        return {"reason": last.reason}
    return {}
