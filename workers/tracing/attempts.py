"""Spans of one attempt at a step: its wait, and what a worker's time went into. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from workers.contract.job import Job
from workers.contract.step import StepRequest, Timings
from workers.contract.trace_context import TraceContext
from workers.tracing import genai
from workers.tracing.span import Attribute, Span, id_of, ns_ago

#: Error of an attempt whose worker died or no longer answers for it.
WORKER_LOST = "WORKER_LOST"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a step was begun, of a job whose trace is recorded."""

    job: Job
    trace: TraceContext
    request: StepRequest
    #: Counted from 1.
    number: int

    @property
    def id(self) -> str:
        """The id of its span."""
        return self._id_of(self.number)

    def span(
        self,
        began_ns: int,
        ended_ns: int,
        attributes: Mapping[str, Attribute],
        error: str = "",
    ) -> Span:
        """The span of all of it; it goes on after the attempt before."""
        return Span(
            f"{genai.operation(self.job)} {self.request.model}",
            self.id,
            self.trace,
            began_ns,
            ended_ns,
            {**genai.of_step(self.job, self.request, self.number), **attributes},
            error=error,
            after=(self._id_of(self.number - 1),) if self.number > 1 else (),
        )

    def _id_of(self, number: int) -> str:
        return id_of(self.job.id, self.request.step, number)


@dataclass(frozen=True, slots=True)
class AttemptTimes:
    """When it was what."""

    #: When its worker took its lease, and when it had ended: Unix times in nanoseconds.
    taken_ns: int
    ended_ns: int
    #: From acceptance, or from when it was given back, to the lease.
    waited_ms: float
    #: What the worker spent on it: the part of the wait in which it loaded the model, then its
    #: template, the wait for a place in the batch (`queued_ms`), and the engine's work.
    spent: Timings
    #: From the end of that load to the lease.
    loaded_ago_ms: float = 0.0


def spans(
    attempt: Attempt, times: AttemptTimes, attributes: Mapping[str, Attribute], error: str = ""
) -> Iterator[Span]:
    """The span of an attempt, from when it began to wait, and those of its parts in their order."""
    began_ns = ns_ago(times.waited_ms, times.taken_ns)
    whole = attempt.span(began_ns, times.ended_ns, attributes, error)
    yield whole
    waiting = _part(whole, "wait", began_ns, times.taken_ns)
    yield waiting
    if times.spent.loading_ms > 0:
        loaded_ns = ns_ago(times.loaded_ago_ms, times.taken_ns)
        yield _part(waiting, "load", ns_ago(times.spent.loading_ms, loaded_ns), loaded_ns)
    at_ns = times.taken_ns
    for name, took_ms in (
        ("template", times.spent.template_ms),
        ("wait for batch", times.spent.queued_ms),
        ("prefill", times.spent.prefill_ms),
        ("decode", times.spent.decode_ms),
    ):
        if took_ms > 0:
            yield _part(whole, name, at_ns, ns_ago(-took_ms, at_ns))
            at_ns = ns_ago(-took_ms, at_ns)


def _part(whole: Span, name: str, began_ns: int, ended_ns: int) -> Span:
    return Span(name, id_of(whole.id, name), whole.context, began_ns, ended_ns)
