"""Jobs as their callers see them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from web import answers, errors
from workers.contract.events import Cancelled, Completed, Event, Failed, Token
from workers.contract.job import Job, Outcome, StepState
from workers.jobs import JobEntry, JobRecord, StepRecord


def address(job_id: str) -> str:
    """Where the job is asked after."""
    return f"/v1/jobs/{job_id}"


def accepted(job: Job, position: int | None) -> dict[str, Any]:
    """A job that was just stored."""
    return {
        "id": job.id,
        "object": "job",
        "state": "queued",
        "model": job.model,
        "priority": job.priority.value,
        "created": job.created,
        **_addresses(job.id),
        **({} if position is None else {"position": position}),
    }


def entry(found: JobEntry) -> dict[str, Any]:
    """A job in a list."""
    ended = {} if found.ended_ms is None else {"ended": found.ended_ms // 1000}
    return {
        "id": found.id,
        "object": "job",
        "state": found.state.value,
        "model": found.model,
        "priority": found.priority.value,
        "created": found.created_ms // 1000,
        **ended,
    }


def running(record: JobRecord, position: int | None) -> dict[str, Any]:
    """A job that has not ended."""
    told = _told(record)
    return told if position is None else {**told, "position": position}


def ended(record: JobRecord, events: list[Event]) -> dict[str, Any]:
    """A job that has ended, with its result or error."""
    at = {} if record.ended_ms is None else {"ended": record.ended_ms // 1000}
    return {**_told(record), **at, **_end(record.job, events)}


def _told(record: JobRecord) -> dict[str, Any]:
    """What is told of every job. What is not known is left out."""
    job = record.job
    measured = {"timings_ms": _timings(record.outcomes.values())} if record.outcomes else {}
    return {
        "id": job.id,
        "object": "job",
        "state": record.state.value,
        "model": job.model,
        "priority": job.priority.value,
        "created": record.created_ms // 1000,
        **_addresses(job.id),
        "attempt": max((step.attempt for step in record.steps), default=0),
        "steps": [_step(step, record.outcomes.get(step.step)) for step in record.steps],
        **measured,
    }


def _addresses(job_id: str) -> dict[str, str]:
    return {"status_url": address(job_id), "events_url": f"{address(job_id)}/events"}


def _step(step: StepRecord, outcome: Outcome | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "step": step.step,
        "model": step.model,
        "state": step.state.value,
        "attempt": step.attempt,
    }
    if outcome is not None and step.state is StepState.DONE:
        told["finish_reason"] = outcome.finish_reason
        told["usage"] = answers.usage(outcome.usage)
        told["timings_ms"] = _timings([outcome])
    return told


def _timings(outcomes: Iterable[Outcome]) -> dict[str, float]:
    timings = [outcome.timings for outcome in outcomes]
    return {
        "queued": round(sum(one.queued_ms for one in timings), 1),
        "prefill": round(sum(one.prefill_ms for one in timings), 1),
        "decode": round(sum(one.decode_ms for one in timings), 1),
    }


def _end(job: Job, events: list[Event]) -> dict[str, Any]:
    last = events[-1] if events else None
    if isinstance(last, Completed):
        text = "".join(event.text for event in events if isinstance(event, Token))
        return {"result": answers.completion(job, text, last.outcome)}
    if isinstance(last, Failed):
        return errors.body(last.exception())
    if isinstance(last, Cancelled):
        return {"reason": last.reason}
    return {}
