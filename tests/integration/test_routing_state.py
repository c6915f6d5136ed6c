"""The tokens that are queued and running, however a step ends; and turns. On a real server."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestration.routing.router import Router
from presets.catalogue import Catalogue
from presets.model import ModelSpec
from tests.support.waiting import wait_for
from workers.cluster.directory import Directory
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.contract.events import Completed, Failed, StepFinished, Token
from workers.contract.job import Job, JobState, Message
from workers.contract.step import Outcome, StepRequest, Timings, Usage
from workers.keeper.deadlines import Deadlines
from workers.keeper.reaper import MOST_CRASHES, Reaper
from workers.settings import read
from workers.store import dead_letters
from workers.store.admission import Full, Terms
from workers.store.jobs import JobStore
from workers.store.leases import Leases, Refusal
from workers.store.planned import PlannedStep
from workers.store.routing_state import RoutingState
from workers.store.token_log import Entry, append

MODEL, OTHER = "m", "n"
_numbers = itertools.count(1)


@pytest.fixture
def jobs(redis):
    return JobStore(redis)


@pytest.fixture
def routing_state(redis):
    return RoutingState(redis)


@pytest.fixture
def store(jobs):
    """Stores a job of steps with these tokens each, by name; all of one model."""

    def store(*, limit=None, deadline_s=None, model=MODEL, **tokens):
        tokens = tokens or {"answer": 100}
        name = f"chatcmpl-{next(_numbers)}"
        job = Job(name, model, (Message("user", "x"),), created=1, deadline_s=deadline_s)
        requests = [StepRequest(name, step, model, ends_job=step == "answer") for step in tokens]
        steps = [PlannedStep(request, {}, tokens=tokens[request.step]) for request in requests]
        stored = jobs.store(job, steps, Terms(4, limit=limit))
        assert jobs.store(job, steps, Terms(4, limit=limit)) == stored  # a lost answer
        return requests[0] if len(requests) == 1 else requests

    return store


@pytest.fixture
def busy(redis, routing_state):
    """The model's queued tokens, which is that of its steps."""

    def busy(model=MODEL):
        (total,) = routing_state.queued_tokens([model])
        parts = redis.hgetall(keys.queued_tokens(model))
        parts.pop(b"total", None)
        assert sum(map(int, parts.values())) == total
        return total

    return busy


def outcome(request, attempt):
    return Outcome(request.step, MODEL, attempt, "stop", Usage(1, 1), Timings(), 9)


def finish(redis, request, attempt=1):
    """What a worker writes at the end of a step, twice: its answer was lost the first time."""
    ended = outcome(request, attempt)
    event = Completed(0, ended) if request.ends_job else StepFinished(0, ended)
    ends_as = JobState.COMPLETED if request.ends_job else None
    entry = Entry(request.job_id, event, request.step, attempt, 1, ends_as, ended)
    written = append(redis, [entry])
    assert append(redis, [entry]) == written != [0]


def die(redis, request):
    redis.zadd(keys.LEASES, {keys.lease_member(request.job_id, request.step): 1})
    Reaper(redis).sweep()


def test_what_waits_and_what_runs_counts_until_it_ends(store, redis, busy, routing_state):
    first, second = store(answer=100), store(answer=30)
    store(answer=7, model=OTHER)
    assert busy() == 130
    Leases(redis, "w").take(first)
    assert routing_state.queued_tokens([OTHER, MODEL, "none"]) == [7, 130, 0]
    finish(redis, first)
    assert busy() == 30
    Leases(redis, "w").take(second)
    finish(redis, second)
    assert busy() == 0
    assert not redis.exists(keys.queued_tokens(MODEL))


def test_what_was_refused_counts_for_nothing(store, jobs, redis, busy):
    store(limit=1)
    job = Job("late", MODEL, (Message("user", "x"),), created=1)
    step = StepRequest("late", "answer", MODEL, ends_job=True)
    assert isinstance(jobs.store(job, [PlannedStep(step, {}, tokens=50)], Terms(4, limit=1)), Full)
    assert busy() == 100


def test_a_step_ends_before_its_job(store, redis, busy):
    draft, answer = store(draft=40, answer=60)
    Leases(redis, "w").take(draft)
    finish(redis, draft)
    assert busy() == 60
    Leases(redis, "w").take(answer)
    finish(redis, answer)
    assert busy() == 0


def test_the_next_round_counts_from_when_it_is_decided(jobs, redis, busy, routing_state):
    name = f"chatcmpl-{next(_numbers)}"
    job = Job(name, MODEL, (Message("user", "x"),), created=1)
    draft = StepRequest(name, "draft", MODEL, ends_job=False)
    deciding = StepRequest(name, "advance-1", "orchestrator", ends_job=False)
    first = [
        PlannedStep(draft, {}, then="advance-1", tokens=40),
        PlannedStep(deciding, {}, follows=1),
    ]
    jobs.store(job, first, Terms(4))
    Leases(redis, "w").take(draft)
    finish(redis, draft)
    lease = Leases(redis, "o").take(deciding)
    following = [
        PlannedStep(StepRequest(name, step, model, ends_job=False), {}, tokens=tokens, delay_ms=ms)
        for step, model, tokens, ms in (("x", MODEL, 60, 0), ("y", OTHER, 7, 60_000))
    ]
    for _ in range(2):  # the first answer was lost
        assert jobs.advance(lease, "o", following)
    assert (busy(), busy(OTHER), busy("orchestrator")) == (60, 7, 0)
    jobs.cancel(name, "enough")
    assert (busy(), busy(OTHER)) == (0, 0)


def test_a_job_that_fails_takes_its_other_steps_with_it(store, redis, busy):
    draft, _ = store(draft=40, answer=60)
    Leases(redis, "w").take(draft)
    entry = Entry(draft.job_id, Failed(0, {}), "draft", 1, 1, JobState.FAILED)
    append(redis, [entry])
    append(redis, [entry])
    assert busy() == 0


@pytest.mark.parametrize("begun", [False, True])
def test_a_cancel_ends_it_once(store, jobs, redis, busy, begun):
    kept, request = store(answer=9), store(answer=100)
    if begun:
        Leases(redis, "w").take(request)
    assert jobs.cancel(request.job_id, "enough")
    assert not jobs.cancel(request.job_id, "enough")
    late = Token(0, request.step, 1, (1,), "late")
    assert append(redis, [Entry(request.job_id, late, request.step, 1, 2)]) == [0]
    assert Leases(redis, "v").take(request) == Refusal("ended")
    assert busy() == 9
    jobs.cancel(kept.job_id, "enough")


@pytest.mark.parametrize("begun", [False, True])
def test_a_deadline_ends_it(store, redis, busy, begun):
    request = store(deadline_s=60)
    if begun:
        Leases(redis, "w").take(request)
    redis.zadd(keys.DEADLINES, {request.job_id: 1})
    Deadlines(redis).sweep()
    assert busy() == 0


def test_a_step_that_is_handed_back_counts_on(store, redis, busy):
    request = store()
    first, second = Leases(redis, "w"), Leases(redis, "v")
    lease = first.take(request)
    first.hand_back(lease)
    first.hand_back(lease)
    assert busy() == 100
    second.take(request)
    assert busy() == 100
    finish(redis, request, attempt=2)
    assert busy() == 0


def test_a_step_that_lost_its_worker_counts_on(store, redis, busy):
    request = store()
    Leases(redis, "w").take(request)
    die(redis, request)
    assert busy() == 100
    Leases(redis, "v").take(request, alone=True)
    refused = Entry(
        request.job_id,
        Completed(0, outcome(request, 1)),
        request.step,
        1,
        5,
        JobState.COMPLETED,
        outcome(request, 1),
    )
    assert append(redis, [refused]) == [0]
    assert busy() == 100
    finish(redis, request, attempt=2)
    assert busy() == 0


def test_a_dead_letter_counts_no_longer(store, redis, busy):
    request = store()
    for attempt in range(MOST_CRASHES):
        Leases(redis, f"w{attempt}").take(request, alone=True)
        die(redis, request)
    assert dead_letters.listed(redis) == [request.job_id]
    assert busy() == 0


def test_a_record_that_is_no_longer_kept_counts_until_its_message_is_met(store, redis, busy):
    request = store()
    kept = store(answer=5)
    redis.delete(keys.job(request.job_id))
    for _ in range(2):
        assert Leases(redis, "w").take(request) == Refusal("gone")
        assert busy() == 5
    Leases(redis, "w").take(kept)
    finish(redis, kept)
    assert busy() == 0


def test_many_at_once_leave_nothing(store, jobs, redis, busy):
    requests = [store(answer=number) for number in range(1, 41)]
    gate = threading.Barrier(8)

    def end(part):
        gate.wait(10)
        for request in part:
            jobs.cancel(request.job_id, "enough")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, [requests[i::4] for i in range(4)] * 2))  # each twice
    assert busy() == 0


@pytest.fixture
def front_end(redis):
    """A router as another process would have one; its models are loaded."""
    specs = [ModelSpec(name, None, 4096, roles=("coder",)) for name in (MODEL, OTHER)]
    beats = [Presence(redis, Worker(s.id, s.id, pid=1, host="h", concurrency=1)) for s in specs]
    for presence in beats:
        presence.start()
        presence.loaded(0, 4096)

    def front_end(strategy):
        environ = {
            "INFERENCE_AUTO_ROUTE_ENABLED": "true",
            "INFERENCE_AUTO_ROUTE_STRATEGY": strategy,
        }
        directory = Directory(redis, ttl_s=0)
        wait_for(lambda: directory.serving(MODEL) and directory.serving(OTHER))
        settings = read(environ, env_file=None)
        return Router(settings, Catalogue(specs), directory, RoutingState(redis))

    yield front_end
    for presence in beats:
        presence.stop()


def coding():
    return Job("j", "coder", (Message("user", "x"),), created=1)


def test_front_ends_share_the_turns(front_end):
    first, second = front_end("round_robin"), front_end("round_robin")
    taken = [
        router.route(coding()).model for router in (first, second, second, first, first, second)
    ]
    assert taken == [MODEL, OTHER] * 3


def test_front_ends_see_the_same_burden(front_end, store, redis):
    first, second = front_end("least_busy"), front_end("least_busy")
    request = store(answer=100)
    assert {router.route(coding()).model for router in (first, second)} == {OTHER}
    store(answer=300, model=OTHER)
    route = second.route(coding())
    assert route.model == MODEL
    assert "100 of 400 tokens queued and running" in route.reason
    Leases(redis, "w").take(request)
    finish(redis, request)
    assert "0 of 300" in first.route(coding()).reason
