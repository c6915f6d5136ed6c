"""One step of a job, from its lease to its last event."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from redis.exceptions import RedisError

from workers import logs
from workers.caches.compressions import Compressions
from workers.contract.errors import InferenceError, Internal
from workers.contract.events import Completed, Event, Failed, Started, StepFinished, Token
from workers.contract.job import JobState
from workers.contract.sampling import Sampling
from workers.contract.step import (
    Assignment,
    Outcome,
    StepRequest,
    Timings,
    Usage,
    choice_of,
)
from workers.contract.wrong_kind import wrong_kind
from workers.engines.base import Delta, Engine, GenerationRequest, LoadedModel
from workers.engines.embedding_engine import EmbeddingEngine
from workers.engines.rerank_engine import RerankEngine
from workers.metrics.process_metrics import ProcessMetrics
from workers.runtime import embedding, reranking, step_meter
from workers.runtime.attempt_trace import AttemptTrace
from workers.runtime.isolation import Isolation
from workers.runtime.step_meter import StepMeter
from workers.store.leases import Lease, Leases
from workers.store.token_log import StepWriter, TokenLog

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadPeriod:
    """When a worker loaded its model, by `time.monotonic`."""

    began: float
    ended: float

    def part_of(self, waited_ms: float) -> float:
        """The milliseconds of a wait that ends now in which the model was being loaded."""
        waited_from = time.monotonic() - waited_ms / 1000
        return 1000 * max(0.0, self.ended - max(self.began, waited_from))

    def ended_ago_ms(self) -> float:
        """The milliseconds since its end."""
        return 1000 * (time.monotonic() - self.ended)


@dataclass(frozen=True, slots=True)
class StepRunner:
    """What every step on this worker works with."""

    engine: Engine | EmbeddingEngine | RerankEngine
    leases: Leases
    token_log: TokenLog
    #: What an answer may take where its caller does not say; None: what the context has left.
    generation_tokens: int | None = None
    isolation: Isolation = field(default_factory=Isolation)
    #: Called when text was given.
    on_text: Callable[[], None] = lambda: None
    #: When the model was loaded; None where no request waited for that.
    loaded: LoadPeriod | None = None
    metrics: ProcessMetrics = field(default_factory=ProcessMetrics)
    #: What the model has made of texts before; None: nothing is kept.
    compressions: Compressions | None = None
    #: The hash of the model in memory; None while it is not known.
    model_hash: Callable[[], str | None] = lambda: None

    def bounded(self, sampling: Sampling) -> Sampling:
        """The same with the most tokens of the answer, where it names none. The context bounds it.

        Who asks for tokens before which no answer ends gets those.
        """
        if sampling.max_tokens is not None or self.generation_tokens is None:
            return sampling
        return replace(sampling, max_tokens=max(self.generation_tokens, sampling.min_tokens))


@dataclass(slots=True)
class _Output:
    """What a step has produced so far, in all its attempts."""

    texts: list[str]
    tokens: int
    #: Calls of tools.
    calls: int = 0
    #: The engine's last delta so far.
    last: Delta = field(default_factory=Delta)
    #: What is written with the step's end, where the last delta says nothing.
    unwritten: Event | None = None
    #: What was spent before the engine's own work.
    before: Timings = field(default_factory=Timings)

    @property
    def text(self) -> str:
        return "".join(self.texts)


def run(request: StepRequest, runner: StepRunner) -> bool:
    """Run a step unless it runs elsewhere or has ended; its events report the rest.

    Returns whether the step has its outcome by now, so that what follows it may go on.

    Raises:
        redis.RedisError: the lease could not be taken; nothing has happened.
    """
    with runner.isolation.together() as entered:
        if not entered:
            return False
        lease = runner.leases.take(request)
        if isinstance(lease, Lease):
            return _run(lease, runner)
    if lease.reason != "alone":
        return lease.reason == "done"
    with runner.isolation.alone() as entered:
        if not entered:
            return False
        lease = runner.leases.take(request, alone=True)
        return isinstance(lease, Lease) and _run(lease, runner)


def _run(lease: Lease, runner: StepRunner) -> bool:
    """Returns whether the step has its outcome by now."""
    request = lease.request
    writer = runner.token_log.writer(request.job_id, request.step, lease.attempt)
    with logs.bound(**lease.job.log_fields, model=request.model):
        trace = AttemptTrace(lease, runner.loaded.ended_ago_ms() if runner.loaded else 0.0)
        output = _Output([lease.said], len(lease.produced))
        meter = StepMeter(runner.metrics, lease)
        try:
            return _decode(lease, runner, writer, output, meter)
        except InferenceError as error:
            trace.error = error.code
            log.warning("%s", error.for_log())
            meter.failed(error.code)
            return _fail(lease, runner.engine, writer, output, error)
        except Exception:
            trace.error = Internal.code
            log.exception("the step failed with an unexpected error")
            meter.failed(Internal.code)
            return _fail(lease, runner.engine, writer, output, Internal())
        finally:
            runner.leases.drop(lease)
            trace.record(output.before, output.last, output.text)


def _decode(
    lease: Lease, runner: StepRunner, writer: StepWriter, output: _Output, meter: StepMeter
) -> bool:
    request, job, engine = lease.request, lease.job, runner.engine
    loading_ms = runner.loaded.part_of(lease.waited_ms) if runner.loaded else 0.0
    writer.write(Started(0, request.step, lease.attempt, request.model, request.part))
    if isinstance(engine, EmbeddingEngine | RerankEngine):
        output.before = Timings(loading_ms=loading_ms)
        if isinstance(engine, EmbeddingEngine):
            output.last, output.unwritten = embedding.embed(lease, engine, writer)
        else:
            output.last, output.unwritten = reranking.rank(lease, engine, writer)
        return _end(lease, runner, writer, output, meter)
    if job.encoder_request is not None:
        raise wrong_kind(request.model, "generation")
    choice = choice_of(request.step)
    assignment = lease.assignment or Assignment(job.messages, job.sampling_of(choice))
    prompt = job.prompt_of(choice) if lease.assignment is None else None
    generation = GenerationRequest(
        id=f"{request.job_id}|{request.step}",
        messages=assignment.messages,
        sampling=assignment.sampling if prompt else runner.bounded(assignment.sampling),
        priority=job.priority,
        job=job.id,
        owner=job.owner,
        produced=lease.produced,
        template=job.template if lease.assignment is None else job.template.of_a_step(),
        tools=job.tools if lease.assignment is None else None,
        prompt=prompt,
    )
    began = time.perf_counter()
    deltas = _said_before(lease, runner) or engine.generate(generation, lease.stop)
    output.before = Timings(
        loading_ms=loading_ms, template_ms=round((time.perf_counter() - began) * 1e3, 3)
    )
    if prompt is not None and prompt.echo and not lease.said:  # else an earlier attempt has said it
        writer.write(_token(lease, Delta(engine.prompt_text(prompt))))
    for last in deltas:
        output.last = last
        output.texts.append(last.text)
        output.tokens += len(last.token_ids)
        if last.token_ids:
            meter.gave(len(last.token_ids))
        output.calls = max([output.calls, *(part.index + 1 for part in last.calls)])
        if last.finish_reason is None and last.says_something:
            writer.write(_token(lease, last))
            runner.on_text()
        if writer.refused.is_set():
            lease.stop.set()
    return _end(lease, runner, writer, output, meter)


def _end(
    lease: Lease, runner: StepRunner, writer: StepWriter, output: _Output, meter: StepMeter
) -> bool:
    """What becomes of a step whose engine has done with it."""
    if output.last.finish_reason != "cancelled":
        _keep(lease, runner, output)
        return _finish(lease, runner, writer, output, meter)
    if lease.giving_back.is_set():
        _give_back(lease, runner.leases, writer)
        meter.stopped(step_meter.HANDED_BACK)
    else:
        log.info("stopped: the job has already ended")
        meter.stopped(step_meter.CANCELLED)
    return False


def _said_before(lease: Lease, runner: StepRunner) -> Iterator[Delta] | None:
    """What the model said when it was asked the same; None where it has to say it.

    Nothing is decoded for it, so it counts no tokens.
    """
    if runner.compressions is None or lease.assignment is None or lease.produced:
        return None
    said = runner.compressions.get(lease.job.owner, lease.assignment)
    if said is None:
        return None
    return iter([Delta(said, finish_reason="stop", usage=Usage(0, 0), timings=Timings())])


def _keep(lease: Lease, runner: StepRunner, output: _Output) -> None:
    """Keep what was said, where it is whole and may stand for the same another time."""
    whole = output.last.finish_reason == "stop" and output.last.usage != Usage(0, 0)
    if whole and runner.compressions is not None and lease.assignment is not None:
        runner.compressions.store(lease.job.owner, lease.assignment, output.text)


def _token(lease: Lease, delta: Delta) -> Token:
    step, attempt = lease.request.step, lease.attempt
    return Token(
        0,
        step,
        attempt,
        delta.token_ids,
        delta.text,
        delta.reasoning,
        delta.calls,
        delta.logprobs,
        delta.content_tokens,
    )


def _give_back(lease: Lease, leases: Leases, writer: StepWriter) -> None:
    """Let another worker go on after the last token; nothing of this one may come later."""
    writer.settle_all()
    leases.drop(lease)
    try:
        leases.hand_back(lease)
        log.info("the step is released for another worker")
    except RedisError as error:
        log.warning("the lease expires on its own, Redis is unavailable: %s", error)


def _finish(
    lease: Lease, runner: StepRunner, writer: StepWriter, output: _Output, meter: StepMeter
) -> bool:
    request, last, before = lease.request, output.last, output.before
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
            queued_ms=lease.waited_ms - before.loading_ms + measured.queued_ms,
            loading_ms=before.loading_ms,
            template_ms=before.template_ms,
            prefill_ms=measured.prefill_ms,
            decode_ms=measured.decode_ms,
        ),
        context_length=runner.engine.context_length,
        notes=last.notes,
        stop=last.stop,
        model_hash=runner.model_hash(),
    )
    # With the step's end: text that was held back until then has no ids by which a next attempt
    # would know that it is in the log.
    tail = _token(lease, last) if last.says_something else output.unwritten
    if request.ends_job:
        written = writer.end(
            Completed(0, outcome), tail, ends_as=JobState.COMPLETED, outcome=outcome
        )
    else:
        written = writer.end(StepFinished(0, outcome), tail, outcome=outcome, text=output.text)
    if written:
        meter.ended(outcome)
    else:
        meter.stopped(step_meter.CANCELLED)
    log.info(
        "answered: %d prompt and %d completion tokens, %s%s",
        outcome.usage.prompt_tokens,
        outcome.usage.completion_tokens,
        outcome.finish_reason,
        f", calls: {output.calls}" if output.calls else "",
    )
    return written


def _fail(
    lease: Lease, engine: LoadedModel, writer: StepWriter, output: _Output, error: InferenceError
) -> bool:
    """End the job with an error, or only the step where the job can do without it."""
    request = lease.request
    if request.ends_job or request.fails_job:
        return writer.end(Failed(seq=0, error=error.to_dict()), ends_as=JobState.FAILED)
    outcome = Outcome(
        step=request.step,
        model=request.model,
        attempt=lease.attempt,
        finish_reason="error",
        usage=Usage(0, output.tokens),
        timings=Timings(queued_ms=lease.waited_ms),
        context_length=engine.context_length,
        error=error.to_dict(),
    )
    return writer.end(StepFinished(0, outcome), outcome=outcome, text=output.text)
