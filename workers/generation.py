"""One step of a job, from its lease to its last event."""

from __future__ import annotations

import logging

from workers import logs
from workers.contract.errors import InferenceError, Internal
from workers.contract.events import Completed, Failed, Started, StepFinished, Token
from workers.contract.job import JobState, Outcome, StepRequest, Timings
from workers.engines.base import Delta, Engine, GenerationRequest
from workers.leases import Lease, Leases, Refusal
from workers.token_log import StepWriter, TokenLog

log = logging.getLogger(__name__)


def run(request: StepRequest, engine: Engine, leases: Leases, token_log: TokenLog) -> None:
    """Run a step unless it runs elsewhere or has ended; its events tell everything else.

    Raises:
        redis.RedisError: the lease could not be taken; nothing has happened.
    """
    lease = leases.take(request)
    if isinstance(lease, Refusal):
        log.info("step %s of %s not taken: %s", request.step, request.job_id, lease.reason)
        return
    writer = token_log.writer(request.job_id, request.step, lease.attempt)
    with logs.bound(
        job_id=request.job_id, model=request.model, request_id=lease.job.request_id or ""
    ):
        try:
            _decode(lease, engine, writer)
        except InferenceError as error:
            log.warning("%s: %s", error.code, error.message)
            writer.end(Failed(seq=0, error=error.to_dict()), ends_as=JobState.FAILED)
        except Exception:
            log.exception("the step failed in a way nobody foresaw")
            writer.end(Failed(seq=0, error=Internal().to_dict()), ends_as=JobState.FAILED)
        finally:
            leases.drop(lease)


def _decode(lease: Lease, engine: Engine, writer: StepWriter) -> None:
    request, job = lease.request, lease.job
    writer.write(Started(0, request.step, lease.attempt, request.model))
    generation = GenerationRequest(
        id=f"{request.job_id}|{request.step}",
        messages=job.messages,
        sampling=job.sampling,
        priority=job.priority,
    )
    last = Delta()
    deltas = engine.generate(generation, lease.stop)
    for last in deltas:
        if last.token_ids or last.text:
            writer.write(Token(0, request.step, lease.attempt, last.token_ids, last.text))
        if writer.refused.is_set():
            lease.stop.set()
    if last.finish_reason == "cancelled":
        log.info("stopped: the job was ended by others")
        return
    _finish(lease, engine, writer, last)


def _finish(lease: Lease, engine: Engine, writer: StepWriter, last: Delta) -> None:
    request = lease.request
    if last.finish_reason is None or last.usage is None:
        raise Internal("The engine ended without a finish reason and usage.")
    measured = last.timings or Timings()
    outcome = Outcome(
        step=request.step,
        model=request.model,
        attempt=lease.attempt,
        finish_reason=last.finish_reason,
        usage=last.usage,
        timings=Timings(
            queued_ms=lease.waited_ms + measured.queued_ms,
            prefill_ms=measured.prefill_ms,
            decode_ms=measured.decode_ms,
        ),
        context_length=engine.context_length,
    )
    if request.ends_job:
        writer.end(Completed(0, outcome), ends_as=JobState.COMPLETED, outcome=outcome)
    else:
        writer.end(StepFinished(0, outcome), outcome=outcome)
    log.info(
        "answered: %d prompt and %d completion tokens, %s",
        outcome.usage.prompt_tokens,
        outcome.usage.completion_tokens,
        outcome.finish_reason,
    )
