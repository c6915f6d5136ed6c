"""A job's record as it is read: its state, and its steps with their outcomes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.contract.job import Job, JobState, Priority
from workers.contract.step import ANSWER, ORCHESTRATOR, Assignment, Outcome, StepState

#: Fields of a record that a list shows.
LISTED = ["state", "model", "priority", "created_ms", "ended_ms"]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step as its record has it."""

    step: str
    model: str
    #: What its model does in the job.
    part: str
    state: StepState
    #: How often it was begun.
    attempt: int
    #: How it ended; None before, and for the step whose end was the job's failure.
    outcome: Outcome | None
    #: Its whole text, where another step follows it.
    text: str
    #: What it was to decode; None: what the job's caller sent.
    assignment: Assignment | None
    #: The step that follows it; None where none does.
    then: str | None
    #: What the check between steps found in its text; None where it found nothing.
    validation: Mapping[str, Any] | None = None
    #: What its prompt was planned to have, part by part; None where nothing was planned.
    plan: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class JobEntry:
    """A job in a list: what is shown of it without its prompt and answer."""

    id: str
    state: JobState
    model: str
    priority: Priority
    created_ms: int
    ended_ms: int | None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as its record has it."""

    job: Job
    state: JobState
    #: Unix time in milliseconds, by Redis.
    created_ms: int
    ended_ms: int | None
    #: Number of its last event.
    last_seq: int
    #: Its steps of models, in the order in which they were planned.
    steps: tuple[StepRecord, ...]
    #: Unix time in milliseconds by which it must have ended; None without a deadline.
    deadline_ms: int | None = None


def job_record(fields: Mapping[str, bytes]) -> JobRecord:
    """The record in these fields of its hash."""
    steps = (step_record(step, fields) for step in fields["steps"].decode().split())
    return JobRecord(
        job=Job.from_dict(json.loads(fields["job"])),
        state=JobState(fields["state"].decode()),
        created_ms=int(fields["created_ms"]),
        ended_ms=int(fields["ended_ms"]) if "ended_ms" in fields else None,
        last_seq=int(fields["seq"]),
        steps=tuple(step for step in steps if step.model != ORCHESTRATOR),
        deadline_ms=int(fields["deadline_ms"]) if "deadline_ms" in fields else None,
    )


def job_entry(job_id: str, row: Sequence[Any]) -> JobEntry:
    """The entry in the values of `LISTED`."""
    state, model, priority, created_ms, ended_ms = row
    return JobEntry(
        id=job_id,
        state=JobState(state.decode()),
        model=model.decode(),
        priority=Priority(int(priority)),
        created_ms=int(created_ms),
        ended_ms=None if ended_ms is None else int(ended_ms),
    )


def step_record(step: str, fields: Mapping[str, bytes]) -> StepRecord:
    """The step of this name in the fields of its job's hash."""
    outcome, assignment = fields.get(f"{step}:outcome"), fields.get(f"{step}:assignment")
    then, validation = fields.get(f"{step}:then"), fields.get(f"{step}:validation")
    plan = fields.get(f"{step}:plan")
    return StepRecord(
        step=step,
        model=fields[f"{step}:model"].decode(),
        part=fields.get(f"{step}:part", ANSWER.encode()).decode(),
        state=StepState(fields[f"{step}:state"].decode()),
        attempt=int(fields.get(f"{step}:attempt", 0)),
        outcome=Outcome.from_dict(json.loads(outcome)) if outcome else None,
        text=fields.get(f"{step}:text", b"").decode(),
        assignment=Assignment.from_dict(json.loads(assignment)) if assignment else None,
        then=then.decode() if then else None,
        validation=json.loads(validation) if validation else None,
        plan=json.loads(plan) if plan else None,
    )
