"""The advancer: when a round has ended, stores and sends what its mode decides on.

It runs under the lease of its own step, like any step of a model: twice delivered it acts once, and
what a dead advancer left undone another does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from orchestration.context.layout import PromptPlan
from orchestration.context.planning import Planner
from orchestration.handoff import HandoffState
from orchestration.modes.base import Mode
from orchestration.modes.rounds import FinishedStep, JobAnswer, JobFailure, Round, Step
from orchestration.rounds import dispatch, handoff_store, policy, report
from orchestration.rounds.decision_trace import DecisionTrace
from orchestration.rounds.policy import RoundDecision
from workers import logs
from workers.caches.cache import Cache, Count, uncounted
from workers.caches.handoffs import HANDOFFS, Handoffs
from workers.contract.errors import BrokerUnavailable, InferenceError, Internal
from workers.contract.events import Assessed, Completed, Event, Failed, Token
from workers.contract.job import Job, JobState
from workers.contract.step import ANSWER, StepRequest, is_answer
from workers.store.jobs import JobStore
from workers.store.leases import Lease, Leases
from workers.store.records import JobRecord
from workers.store.token_log import Entry, append

log = logging.getLogger(__name__)

#: Seconds for which prompts are not planned once the tokenizer did not answer: waiting takes long.
UNPLANNED_S = 30.0


class RoundAdvancer:
    """Decides after every round, for all jobs of all modes."""

    def __init__(
        self,
        redis: Redis,
        app: Celery,
        leases: Leases,
        worker_id: str,
        modes: Mapping[str, Mode],
        planner: Planner | None = None,
        count: Count = uncounted,
    ) -> None:
        """Without a `planner` prompts are sent as long as they are. `count`: what caches do."""
        self._redis = redis
        self._app = app
        self._leases = leases
        self._worker_id = worker_id
        self._modes = modes
        self._planner = planner
        self._unplanned_until = float("-inf")
        self._jobs = JobStore(redis)
        self._handoffs = Handoffs(Cache(HANDOFFS, redis, count=count))

    def advance(self, request: StepRequest) -> None:
        """Decide what follows, unless another does, has done, or it is too early.

        Raises:
            redis.RedisError, kombu.exceptions.OperationalError: Redis is away; the keeper sends the
                message again.
        """
        lease = self._leases.take(request)
        if not isinstance(lease, Lease) and lease.reason == "alone":
            lease = self._leases.take(request, alone=True)
        if not isinstance(lease, Lease):
            return
        with logs.bound(**lease.job.log_fields):
            trace = DecisionTrace(lease)
            try:
                trace.decision = self._decide(lease)
            except (RedisError, OperationalError):
                trace.error = BrokerUnavailable.code
                raise
            except InferenceError as error:
                trace.error = error.code
                log.warning("%s", error.for_log())
                self._fail(lease, error)
            except Exception:  # what cannot be decided now never can: its caller gets an error
                trace.error = Internal.code
                log.exception("the next step cannot be decided")
                self._fail(lease, Internal())
            finally:
                self._leases.drop(lease)
                trace.record()

    def _decide(self, lease: Lease) -> RoundDecision | None:
        """Returns what was decided; None where the job has ended meanwhile."""
        job_id = lease.request.job_id
        record = self._jobs.record(job_id)
        if record is None or record.ended_ms is not None:  # ended since the lease was taken
            return None
        number = dispatch.round_of(lease.request.step)
        ended = _ended(record)
        mode = self._modes[record.job.mode]
        handed_on = self._handed_on(job_id, policy.state_before(ended))
        decision = self._decision(record.job, mode, ended, handed_on)
        ended = [_with_plan(done, decision.plans.get(done.step.name)) for done in ended]
        match decision.next:
            case Round() as round_:
                # The version before knows neither readers nor a job that begins with a decision.
                with_readers = not ended or any(
                    step.reads_handoff for step in (*round_.steps, *(done.step for done in ended))
                )
                planned = dispatch.plan(
                    self._app, record.job, number + 1, round_, with_readers=with_readers
                )
                handoff_store.save(self._handoffs, decision.handoff, number)
                self._append(lease, _told(decision))
                if self._jobs.advance(lease, self._worker_id, planned):
                    dispatch.send(self._app, planned, dispatch.NEXT_RANK)
            case JobAnswer() as answer:
                self._answer(lease, record.job, ended, answer, decision)
            case JobFailure(error):
                events = [*_told(decision), Failed(0, error.to_dict())]
                self._append(lease, events, JobState.FAILED)
        return decision

    def _decision(
        self, job: Job, mode: Mode, ended: Sequence[FinishedStep], handed_on: HandoffState | None
    ) -> RoundDecision:
        planner = self._planner if time.monotonic() >= self._unplanned_until else None
        try:
            return policy.decide(job, mode, ended, handed_on, planner)
        except InferenceError as error:  # each model still counts its own prompt
            log.warning("prompts are not planned: %s", error.for_log())
            if error.retriable:
                self._unplanned_until = time.monotonic() + UNPLANNED_S
            return policy.decide(job, mode, ended, handed_on)

    def _handed_on(self, job_id: str, number: int) -> HandoffState | None:
        return handoff_store.load(self._handoffs, job_id, number) if number else None

    def _answer(
        self,
        lease: Lease,
        job: Job,
        ended: Sequence[FinishedStep],
        answer: JobAnswer,
        decision: RoundDecision,
    ) -> None:
        events = _told(decision)
        if not is_answer(answer.done.step.name) and answer.done.text:
            # Accepted only now: it becomes the answer's own tokens.
            events.append(Token(0, ANSWER, lease.attempt, (), answer.done.text))
        details = report.orchestration(job, ended, answer, decision.validations)
        events.append(Completed(0, report.outcome(ended, answer), details))
        self._append(lease, events, JobState.COMPLETED)
        log.info("answered by %s, %d steps", answer.done.step.model, len(ended))

    def _fail(self, lease: Lease, error: InferenceError) -> None:
        self._append(lease, [Failed(0, error.to_dict())], JobState.FAILED)

    def _append(
        self, lease: Lease, events: Sequence[Event], ends_as: JobState | None = None
    ) -> None:
        """Append events in one step; the last one ends the job where `ends_as` is given."""
        entries = [
            Entry(
                lease.request.job_id,
                event,
                step=lease.request.step,
                attempt=lease.attempt,
                number=number,
                ends_as=ends_as if number == len(events) else None,
            )
            for number, event in enumerate(events, start=1)
        ]
        if entries:
            append(self._redis, entries)


def _told(decision: RoundDecision) -> list[Event]:
    """What those who watch are told of a decision before what follows from it."""
    plans = (Assessed(0, name, {"plan": plan.to_dict()}) for name, plan in decision.plans.items())
    return [*decision.assessed, *plans]


def _with_plan(done: FinishedStep, plan: PromptPlan | None) -> FinishedStep:
    return done if plan is None else replace(done, plan=plan.to_dict())


def _ended(record: JobRecord) -> list[FinishedStep]:
    """The steps that have ended, in the order in which they were planned."""
    return [
        FinishedStep(
            Step(step.step, step.part, step.model, step.assignment),
            dispatch.round_of(step.then),
            step.text,
            step.outcome,
            plan=step.plan,
        )
        for step in record.steps
        if step.outcome is not None
    ]
