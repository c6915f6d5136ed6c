"""What `store.lua` takes in and refuses, and what moves while it waits; on a real server."""

import itertools
import queue
import tempfile
from pathlib import Path

import pytest

from tests.support.front_end import free_port
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from web.live.slots import Slots
from workers.app import model_queue, priority_lists
from workers.contract import keys
from workers.contract.events import Completed, Failed
from workers.contract.job import Job, JobState, Message
from workers.contract.step import ANSWER, Outcome, StepRequest, Timings, Usage
from workers.keeper.aging import Aging
from workers.keeper.deadlines import Deadlines
from workers.lua.scripts import run
from workers.store.admission import (
    Backlog,
    Durability,
    Full,
    Idempotency,
    Known,
    NotDurable,
    Stored,
    Terms,
)
from workers.store.jobs import JobStore
from workers.store.leases import Leases, Refusal
from workers.store.planned import PlannedStep
from workers.store.token_log import Entry, append

MODEL = "m"
_numbers = itertools.count(1)


def job(**fields):
    return Job(f"chatcmpl-{next(_numbers)}", MODEL, (Message("user", "hi"),), created=1, **fields)


@pytest.fixture
def store(jobs):
    def store(made, rank=4, **terms):
        steps = [PlannedStep(request_of(made), {})]
        return jobs.store(made, steps, Terms(rank, **terms))

    return store


def end(redis, made):
    assert append(redis, [Entry(made.id, Failed(0, {}), ends_as=JobState.FAILED)]) != [0]


def request_of(made):
    return StepRequest(made.id, ANSWER, MODEL, ends_job=True)


def order(redis):
    """Ids of the jobs that wait, the next one first."""
    return [m.decode().partition("|")[0] for m in redis.zrange(keys.waiting(MODEL), 0, -1)]


def test_a_stored_job_tells_its_place(store):
    assert store(job()) == Stored(rank=4, position=1, running=0)
    assert store(job()) == Stored(rank=4, position=2, running=0)
    assert store(job(), rank=2) == Stored(rank=2, position=1, running=0)


def test_a_lost_answer_stores_nothing_twice(store, redis):
    made = job()
    first = store(made, limit=1)
    assert store(made, limit=1) == first
    assert redis.zcard(keys.SLOTS) == 1


def test_open_requests_are_bounded_until_one_ends(store, redis, jobs):
    first = job()
    store(first, limit=2)
    store(job(), limit=2)
    refused = job()
    assert store(refused, limit=2) == Full(there=2, waiting=2, running=0)
    assert jobs.record(refused.id) is None
    end(redis, first)
    assert isinstance(store(refused, limit=2), Stored)


def test_the_two_kinds_are_bounded_each_by_its_own(store, redis):
    store(job(), limit=1)
    store(job(asynchronous=True), limit=1)
    assert isinstance(store(job(), limit=1), Full)
    assert isinstance(store(job(asynchronous=True), limit=1), Full)


def test_a_job_that_has_begun_leaves_room_for_another(store, redis):
    first = job(asynchronous=True)
    store(first, limit=1)
    Leases(redis, "w").take(request_of(first))
    assert isinstance(store(job(asynchronous=True), limit=1), Stored)


def test_the_slot_of_a_dead_front_end_lapses(store, redis):
    store(job(), limit=1)
    redis.zadd(keys.SLOTS, {redis.zrange(keys.SLOTS, 0, 0)[0]: 1})  # as if its time were over
    assert isinstance(store(job(), limit=1), Stored)


def test_a_held_slot_does_not_lapse_and_an_ended_one_does_not_come_back(store, redis, monkeypatch):
    monkeypatch.setattr("web.live.slots.HOLD_S", 0.05)
    made = job()
    store(made)
    slots = Slots(redis)
    slots.start()
    redis.zadd(keys.SLOTS, {made.id: 1})
    with slots.holding(made.id):
        wait_for(lambda: redis.zscore(keys.SLOTS, made.id) > 1)
        end(redis, made)
        assert redis.zscore(keys.SLOTS, made.id) is None
        run(redis, "hold", keys.SLOT_MS, made.id)
        assert redis.zscore(keys.SLOTS, made.id) is None
    slots.stop()


def test_an_idempotency_key_stands_for_one_body(store, redis):
    made = job()
    terms = {"idempotency": Idempotency("chat::k", "ab")}
    store(made, **terms)
    assert store(job(), **terms) == Known(made.id, same_body=True)
    other = Idempotency("chat::k", "cd")
    assert store(job(), idempotency=other) == Known(made.id, same_body=False)
    redis.delete(keys.job(made.id))  # no longer kept
    assert isinstance(store(job(), idempotency=other), Stored)


def test_an_attached_request_takes_no_slot(store):
    terms = {"idempotency": Idempotency("chat::k", "ab"), "limit": 1}
    store(job(), **terms)
    assert isinstance(store(job(), **terms), Known)


def test_what_exceeds_a_keys_share_enters_one_list_lower(store):
    ranks = [store(job(owner="alice"), share=2).rank for _ in range(4)]
    assert ranks == [4, 4, 5, 5]
    assert store(job(owner="bob"), share=2) == Stored(rank=4, position=3, running=0)


def test_each_choice_counts_in_a_keys_share(jobs):
    def rank(choices, share):
        made = job(owner="alice")
        steps = [
            PlannedStep(StepRequest(made.id, name, MODEL, ends_job=False), {})
            for name in (ANSWER, *(f"{ANSWER}-{number}" for number in range(1, choices)))
        ]
        stored = jobs.store(made, steps, Terms(4, share=share))
        jobs.cancel(made.id, "only its rank is asked for")
        return stored.rank

    assert [rank(choices, share=3) for choices in (1, 3, 4, 16)] == [4, 4, 5, 5]


def test_a_keys_own_order_stays_when_some_of_it_went_lower(store, redis):
    made = [job(owner="alice") for _ in range(3)]
    for waiting in made:
        store(waiting, share=1)
    Leases(redis, "w").take(request_of(made[0]))
    late = job(owner="alice")
    store(late, share=1)
    assert order(redis) == [made[1].id, made[2].id, late.id]


def test_a_share_counts_what_waits_alone(store, redis):
    first = job(owner="alice")
    store(first, share=1)
    end(redis, first)
    assert store(job(owner="alice"), share=1).rank == 4


def test_a_late_job_is_not_taken_and_the_keeper_ends_it(store, redis, jobs):
    made = job(deadline_s=60)
    store(made)
    redis.hset(keys.job(made.id), "deadline_ms", 1)
    redis.zadd(keys.DEADLINES, {made.id: 1})
    assert Leases(redis, "w").take(request_of(made)) == Refusal("late")
    Deadlines(redis).sweep()
    assert jobs.record(made.id).state is JobState.EXPIRED
    assert jobs.events(made.id)[-1].exception().code == "JOB_EXPIRED"
    assert redis.zcard(keys.DEADLINES) == 0


def test_a_job_that_ended_in_time_does_not_expire(store, redis, jobs):
    made = job(deadline_s=0.001)
    store(made)
    end(redis, made)
    Deadlines(redis).sweep()
    assert jobs.record(made.id).state is JobState.FAILED


def test_the_pace_of_a_model_is_measured(store, redis, jobs):
    assert jobs.backlog(MODEL) == Backlog(0, 0, None)
    made = job()
    store(made)
    store(job(), rank=6)
    lease = Leases(redis, "w").take(request_of(made))
    redis.hincrby(keys.job(made.id), "answer:taken_ms", -400)
    assert jobs.backlog(MODEL).running == 1
    outcome = Outcome("answer", MODEL, 1, "stop", Usage(1, 1), Timings(), 9)
    entry = Entry(
        made.id, Completed(0, outcome), "answer", lease.attempt, 1, JobState.COMPLETED, outcome
    )
    append(redis, [entry])
    backlog = jobs.backlog(MODEL, rank=4)
    assert (backlog.waiting, backlog.running) == (0, 0)
    assert 400 <= backlog.step_ms < 1400
    assert jobs.backlog(MODEL, rank=6).waiting == 1


@pytest.mark.parametrize(
    ("backlog", "position", "capacity", "wait_s"),
    [
        (Backlog(0, 0, None), 1, 1, 0),
        (Backlog(0, 1, None), 1, 1, None),
        (Backlog(0, 1, 2000), 1, 1, 2),
        (Backlog(3, 4, 2000), 4, 4, 2),
        (Backlog(3, 2, 2000), 3, 4, 0.5),
        (Backlog(3, 0, 2000), 1, 0, None),
    ],
)
def test_an_estimate_of_the_wait(backlog, position, capacity, wait_s):
    assert backlog.wait_s(position, capacity) == wait_s


def test_without_an_append_only_file_nothing_is_promised_to_be_on_disk(jobs):
    made = job(asynchronous=True)
    steps = [PlannedStep(request_of(made), {})]
    with pytest.raises(NotDurable, match="appendonly"):
        jobs.store(made, steps, Terms(4), Durability(on_disk=True))


def test_a_job_is_acknowledged_when_a_replica_has_it():
    made, replicated = job(asynchronous=True), Durability(replicas=1)
    steps = [PlannedStep(request_of(made), {})]
    first, second = (Path(tempfile.mkdtemp(prefix="is-")) for _ in range(2))
    port = free_port()
    with (
        Valkey(first, port=port, configuration=("repl-diskless-sync-delay 0",)) as primary,
        primary.client() as redis,
    ):
        with pytest.raises(NotDurable, match="INFERENCE_JOBS_REPLICAS=1, and 0 replicas"):
            JobStore(redis).store(made, steps, Terms(4), replicated)
        with Valkey(second, configuration=(f"replicaof 127.0.0.1 {port}",)) as replica:
            wait_for(lambda: redis.info("replication")["connected_slaves"], 30)
            made = job(asynchronous=True)
            steps = [PlannedStep(request_of(made), {})]
            assert isinstance(JobStore(redis).store(made, steps, Terms(4), replicated), Stored)
            with replica.client() as copy:
                assert copy.exists(keys.job(made.id))


def enqueue(celery, made, rank):
    celery.signature("generate.m", task_id=f"{made.id}|answer").apply_async(
        queue=model_queue(MODEL), priority=rank
    )


def taken(celery):
    """The ids that a worker would take, in its order."""
    job_ids = []
    with celery.connection_for_read() as connection:
        waiting = connection.SimpleQueue(model_queue(MODEL))
        try:
            while True:
                message = waiting.get_nowait()
                message.ack()
                job_ids.append(message.headers["id"].partition("|")[0])
        except queue.Empty:
            return job_ids


def make_old(redis, made, ms):
    redis.zincrby(keys.waiting(MODEL), -ms, f"{made.id}|answer")


def test_what_waits_long_moves_up_and_is_before_what_comes_later(store, redis, celery):
    old, fresh = job(owner="alice"), job()
    store(old, 6)
    enqueue(celery, old, 6)
    aging = Aging(redis, 60)
    for _ in range(2):
        make_old(redis, old, 61_000)
        aging.begin()
        aging.sweep()
    store(fresh, 4)
    enqueue(celery, fresh, 4)
    assert order(redis) == [old.id, fresh.id]
    assert redis.zscore(keys.waiting_of("alice", MODEL), f"{old.id}|answer") < 5e13
    assert taken(celery) == [old.id, fresh.id]


def test_bulk_reaches_the_first_list_of_new_work_and_no_further(store, redis, celery):
    made = job()
    store(made, 8)
    enqueue(celery, made, 8)
    aging = Aging(redis, 60)
    for _ in range(10):
        make_old(redis, made, 61_000)
        aging.begin()
        aging.sweep()
    lengths = [redis.llen(name) for name in priority_lists(model_queue(MODEL))]
    assert lengths == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    taken(celery)


def test_what_waits_but_briefly_stays(store, redis, celery):
    made = job()
    store(made)
    enqueue(celery, made, 4)
    Aging(redis, 60).sweep()
    assert redis.llen(priority_lists(model_queue(MODEL))[4]) == 1
    taken(celery)
