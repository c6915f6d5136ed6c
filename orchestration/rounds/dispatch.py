"""Rounds as Celery sends them: one step is a chain, several a chord; the deciding task follows.

Each step's signature is kept in the job's record whole, with the ids of its chain or chord, so that
the keeper can send exactly it again. Celery's own counting is only the quick way: the record counts
too, and a deciding task whose message is lost, or whose chord never fires, is sent by the keeper.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.canvas import Signature
from redis.exceptions import RedisError

from orchestration import estimate
from orchestration.modes.rounds import Round, Step
from workers import broker
from workers.app import generate_task, model_queue
from workers.contract.job import Job
from workers.contract.step import ORCHESTRATOR, StepRequest, choice_of
from workers.store.planned import PlannedStep

#: Name of the task that decides what follows a round.
ADVANCE = "orchestration.advance"
#: The same of a job in which readers stand between the mode's steps. Its name is another, so that
#: an orchestration worker of the version before, which would take them for the mode's own, leaves
#: it: the keeper sends the message again until one that knows it takes it.
ADVANCE_WITH_READERS = "orchestration.advance_with_readers"
#: Queue priority of what follows in a started job: before all new work.
NEXT_RANK = 0


def plan(
    app: Celery, job: Job, number: int, round_: Round, *, with_readers: bool = False
) -> list[PlannedStep]:
    """The steps of round `number`, and after them the one that decides what follows."""
    requests = [
        StepRequest(
            job.id,
            step.name,
            step.model,
            ends_job=round_.ends_job,
            part=step.part,
            fails_job=round_.needs_all,
        )
        for step in round_.steps
    ]
    if round_.ends_job:
        (step,), (request,) = round_.steps, requests
        signature = _generate(app, request, **_traced(job))
        return [PlannedStep(request, signature, step.assignment, tokens=_tokens(job, step))]
    deciding = StepRequest(job.id, deciding_step(number), ORCHESTRATOR, ends_job=False)
    task = ADVANCE_WITH_READERS if with_readers else ADVANCE
    follows = _decide(app, deciding, task, **_traced(job))
    planned = [
        PlannedStep(
            request,
            _generate(app, request, **_linked(follows, number, len(requests)), **_traced(job)),
            step.assignment,
            then=deciding.step,
            delay_ms=step.delay_ms,
            tokens=_tokens(job, step),
        )
        for number, (step, request) in enumerate(zip(round_.steps, requests, strict=True))
    ]
    last = PlannedStep(deciding, follows, follows=len(planned), patience=round_.patience)
    return [*planned, last]


def send(app: Celery, planned: Sequence[PlannedStep], rank: int) -> None:
    """Put the messages of a round that is stored on their queues; what is to wait is not sent.

    Raises:
        kombu.exceptions.OperationalError: Redis is away; the keeper sends what is stored.
    """
    members = [step for step in planned if not step.follows]
    if group := members[0].signature["options"].get("group_id"):
        with contextlib.suppress(RedisError):  # the record counts, too
            broker.expect_members(app, group, len(members))
    for step in members:
        if not step.delay_ms:
            Signature.from_dict(dict(step.signature), app=app).apply_async(priority=rank)


def deciding_step(number: int) -> str:
    """Name of the step that decides what follows round `number`."""
    return f"advance-{number}"


def round_of(deciding: str | None) -> int:
    """The number of the round after which this step decides; 0 where none does."""
    return 0 if deciding is None else int(deciding.rpartition("-")[2])


def _tokens(job: Job, step: Step) -> int:
    if step.assignment is not None:
        return estimate.tokens(step.assignment.messages, step.assignment.sampling)
    if job.encoder_request is not None:
        return estimate.tokens_of_job(job)
    if (prompt := job.prompt_of(choice_of(step.name))) is not None:
        return estimate.tokens_of_prompt(prompt, job.sampling)
    return estimate.tokens(job.messages, job.sampling, job.tools)


def _linked(follows: dict[str, Any], number: int, steps: int) -> dict[str, Any]:
    """Options that let the deciding task follow: of a chain, or of a chord's member."""
    if steps == 1:
        return {"chain": [follows]}
    return {"group_id": follows["options"]["task_id"], "group_index": number, "chord": follows}


def _generate(app: Celery, request: StepRequest, **linked: Any) -> dict[str, Any]:
    return _signature(app, generate_task(request.model), request, **linked)


def _decide(app: Celery, request: StepRequest, task: str, **options: Any) -> dict[str, Any]:
    return _signature(app, task, request, priority=NEXT_RANK, **options)


def _traced(job: Job) -> dict[str, Any]:
    """Options that name the job's trace in a message's headers, for tools that look there.

    Whoever runs the step reads it in the job's record.
    """
    return {} if job.trace is None else {"headers": job.trace.headers()}


def _signature(app: Celery, task: str, request: StepRequest, **options: Any) -> dict[str, Any]:
    queue = model_queue(request.model)
    signature = app.signature(
        task,
        args=(request.to_dict(),),
        immutable=True,
        queue=queue,
        routing_key=queue,
        task_id=f"{request.job_id}|{request.step}",
        argsrepr=request.step,  # what Flower shows; Celery's own takes longer than sending
        kwargsrepr="",
        ignore_result=True,  # else Celery listens for a result of every task that is sent
        **options,
    )
    return dict(signature)
