"""What becomes of steps whose worker died, hands them back, or never got their message."""

import itertools
import threading
import time

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.waiting import wait_for
from workers.app import generate_task, make_app, model_queue, priority_lists
from workers.cluster.presence import declare_dead
from workers.contract import keys
from workers.contract.events import Cancelled, Token
from workers.contract.job import Job, JobState, Message
from workers.contract.step import ANSWER, StepRequest
from workers.keeper.keeper import Keeper
from workers.keeper.reaper import FORGOTTEN_MS, MOST_CRASHES, Reaper
from workers.keeper.redelivery import Redelivery
from workers.runtime.isolation import Isolation
from workers.settings import read
from workers.store import dead_letters
from workers.store.admission import Terms
from workers.store.leases import Leases, Refusal
from workers.store.planned import PlannedStep
from workers.store.token_log import Entry, append

MODEL = "m"
_numbers = itertools.count(1)


@pytest.fixture
def step(jobs, celery):
    """A stored job's only step; its message is not sent."""

    def step():
        job = Job(f"chatcmpl-{next(_numbers)}", MODEL, (Message("user", "x"),), created=1)
        request = StepRequest(job.id, ANSWER, MODEL, ends_job=True)
        signature = celery.signature(
            generate_task(MODEL),
            args=(request.to_dict(),),
            queue=model_queue(MODEL),
            task_id=f"{job.id}|{request.step}",
            ignore_result=True,
        )
        jobs.store(job, [PlannedStep(request, dict(signature))], Terms(4))
        return request

    return step


@pytest.fixture
def die(redis):
    """Let a worker die: nobody renews its leases, and its presence is gone."""

    def die(*requests):
        for request in requests:
            redis.zadd(keys.LEASES, {member(request): 1})
        Reaper(redis).sweep()

    return die


def member(request: StepRequest):
    return keys.lease_member(request.job_id, request.step)


def run_alone(redis, request):
    """A worker takes a step that may only run alone."""
    leases = Leases(redis, "w")
    assert leases.take(request) == Refusal("alone")
    return leases.take(request, alone=True)


def queued(redis):
    """How many messages each of the model's lists has."""
    return [redis.llen(name) for name in priority_lists(model_queue(MODEL))]


def test_a_step_whose_worker_died_waits_again_before_all_new_work(redis, jobs, step, die):
    request, fresh = step(), step()
    Leases(redis, "w").take(request)
    die(request)
    assert redis.zrange(keys.waiting(MODEL), 0, -1) == [
        member(request).encode(),
        member(fresh).encode(),
    ]
    assert redis.zrange(keys.RESEND, 0, -1) == [member(request).encode()]
    assert redis.scard(keys.running(MODEL)) == redis.zcard(keys.LEASES) == 0
    assert jobs.queue_position(jobs.record(request.job_id)) == (1, MODEL)


def test_its_message_is_sent_again_and_another_worker_goes_on_after_the_log(
    redis, celery, step, die
):
    request = step()
    Leases(redis, "w").take(request)
    for number, ids in ((1, (5, 6)), (2, (7,))):
        event = Token(0, request.step, 1, ids, "x")
        append(redis, [Entry(request.job_id, event, request.step, 1, number)])
    die(request)
    Redelivery(redis, celery).sweep()
    assert queued(redis) == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert redis.zcard(keys.RESEND) == 0
    lease = run_alone(redis, request)
    assert (lease.attempt, lease.produced) == (2, (5, 6, 7))


def test_a_batch_runs_together_again_and_then_each_alone(redis, step, die):
    batch = [step() for _ in range(3)]
    leases = Leases(redis, "w")
    for request in batch:
        leases.take(request)
    die(*batch)
    assert [leases.take(request).attempt for request in batch] == [2, 2, 2]
    die(batch[0])  # the others' leases had a moment left
    assert [leases.take(request) for request in batch] == [Refusal("alone")] * 3


def test_what_crashes_in_company_is_never_a_dead_letter(redis, jobs, step, die):
    poison, neighbour = step(), step()
    leases = Leases(redis, "w")
    for _ in range(2):
        leases.take(poison)
        leases.take(neighbour)
        die(poison, neighbour)
    for _ in range(MOST_CRASHES):
        run_alone(redis, poison)
        die(poison)
    assert jobs.record(poison.job_id).state is JobState.FAILED
    assert jobs.record(neighbour.job_id).state is JobState.RUNNING
    assert run_alone(redis, neighbour).attempt == 3


def test_a_dead_letter_tells_why(redis, jobs, step, die):
    request = step()
    Leases(redis, "w").take(request)
    die(request)
    for _ in range(MOST_CRASHES - 1):
        run_alone(redis, request)
        die(request)
    error = jobs.events(request.job_id)[-1].exception()
    assert error.code == "JOB_POISONED"
    assert error.details == {"crashes": MOST_CRASHES, "step": request.step, "worker": "w"}
    assert dead_letters.listed(redis) == [request.job_id]
    assert redis.zcard(keys.LEASES) == redis.zcard(keys.waiting(MODEL)) == 0
    assert redis.ttl(keys.job(request.job_id)) > 86_400


def test_a_keeper_that_died_before_the_dead_letter_is_made_good(
    redis, jobs, step, die, monkeypatch
):
    request = step()
    redis.hset(keys.job(request.job_id), f"{request.step}:crashes", MOST_CRASHES - 1)
    Leases(redis, "w").take(request)
    with monkeypatch.context() as dying:
        dying.setattr(dead_letters, "add", lambda *_: None)
        die(request)
    assert jobs.record(request.job_id).ended_ms is None
    die(request)
    assert jobs.record(request.job_id).state is JobState.FAILED


def test_a_living_worker_keeps_its_leases_and_loses_what_it_forgot(redis, step):
    kept, forgotten = step(), step()
    leases = Leases(redis, "w")
    leases.take(kept)
    leases.take(forgotten)
    redis.set(keys.worker("w"), "{}")
    now_ms = redis.time()[0] * 1000
    redis.zadd(keys.LEASES, {member(forgotten): now_ms - 100})
    Reaper(redis).sweep()
    assert leases.take(forgotten) == Refusal("held")
    redis.zadd(keys.LEASES, {member(forgotten): now_ms - 2 * FORGOTTEN_MS})
    Reaper(redis).sweep()
    assert leases.take(kept) == Refusal("held")
    assert leases.take(forgotten).attempt == 2  # in company, once: it still may run beside others


def test_what_holds_its_worker_up_is_set_aside_like_what_crashes_it(redis, jobs, step):
    request = step()
    leases = Leases(redis, "w")
    redis.set(keys.worker("w"), "{}")  # it lives, and renews nothing

    def forget():
        redis.zadd(keys.LEASES, {member(request): redis.time()[0] * 1000 - 2 * FORGOTTEN_MS})
        Reaper(redis).sweep()

    for _ in range(2):
        assert not isinstance(leases.take(request), Refusal)
        forget()
    for _ in range(MOST_CRASHES):
        assert jobs.record(request.job_id).state is JobState.RUNNING
        run_alone(redis, request)
        forget()
    assert jobs.record(request.job_id).state is JobState.FAILED
    assert jobs.events(request.job_id)[-1].exception().code == "JOB_POISONED"


def test_a_watchdog_that_kills_after_the_lease_was_forgotten_spares_nobody(redis, jobs, step, die):
    request = step()
    leases = Leases(redis, "w")
    for attempt in range(2 + MOST_CRASHES):
        assert jobs.record(request.job_id).ended_ms is None
        leases.take(request, alone=attempt > 1)
        redis.set(keys.worker("w"), "{}")
        redis.zadd(keys.LEASES, {member(request): redis.time()[0] * 1000 - 2 * FORGOTTEN_MS})
        Reaper(redis).sweep()
        redis.delete(keys.worker("w"))  # and only then ended
        Reaper(redis).sweep()
    assert jobs.record(request.job_id).state is JobState.FAILED


def test_nobody_is_judged_right_after_redis_was_away(redis, step):
    request = step()
    Leases(redis, "w").take(request)
    redis.zadd(keys.LEASES, {member(request): 1})
    reaper = Reaper(redis)
    reaper.begin()
    reaper.sweep()
    assert Leases(redis, "w").take(request) == Refusal("held")


def test_a_clock_that_was_set_back_leases_nothing_for_long(redis, step):
    request = step()
    Leases(redis, "w").take(request)
    in_an_hour = redis.time()[0] * 1000 + 3_600_000
    redis.zadd(keys.LEASES, {member(request): in_an_hour})
    Reaper(redis).sweep()
    assert redis.zscore(keys.LEASES, member(request)) < in_an_hour - 3_000_000


def test_a_keeper_that_slept_begins_anew(redis, monkeypatch):
    begun = []

    class Duty:
        def begin(self):
            begun.append(time.monotonic())

        def sweep(self):
            pass

    shift = [0]
    monkeypatch.setattr(
        "workers.keeper.keeper.redis_time_ms", lambda r: int(time.time() * 1e3) + shift[0]
    )
    keeper = Keeper(redis, [Duty()])
    keeper.start()
    wait_for(lambda: begun and keeper._seen)
    shift[0] = 60_000  # the machine slept for a minute
    wait_for(lambda: len(begun) == 2 and keeper._seen)
    shift[0] = 0  # and somebody set the clock back
    wait_for(lambda: len(begun) == 3)
    keeper.stop()


def test_one_duty_that_fails_stops_no_other(redis):
    swept = []

    class Bad:
        def begin(self):
            pass

        def sweep(self):
            raise ValueError("unexpected")

    class Good(Bad):
        def sweep(self):
            swept.append(1)

    keeper = Keeper(redis, [Bad(), Good()])
    keeper.start()
    wait_for(lambda: len(swept) > 1)
    keeper.stop()


def test_a_step_that_is_handed_back_goes_on_at_once_and_unblamed(redis, celery, step):
    request = step()
    leases = Leases(redis, "w")
    lease = leases.take(request)
    leases.hand_back(lease)
    Redelivery(redis, celery).sweep()
    assert queued(redis)[0] == 1
    assert Leases(redis, "w2").take(request).attempt == 2
    leases.hand_back(lease)  # repeated, it takes nothing from the other
    assert Leases(redis, "w3").take(request) == Refusal("held")


def look_for_lost(redis, celery, looks=3):
    messages = Redelivery(redis, celery)
    for _ in range(looks):
        messages._next_look = 0.0
        messages.sweep()


def test_a_message_that_was_lost_is_sent_again_on_its_own_list(redis, celery, step):
    step()
    look_for_lost(redis, celery, looks=1)
    assert sum(queued(redis)) == 0  # it may be on its way
    look_for_lost(redis, celery)
    assert queued(redis)[4] == 1
    look_for_lost(redis, celery, looks=5)
    assert queued(redis)[4] == 1


def test_what_is_queued_or_runs_is_not_sent_again(redis, celery, step):
    waiting, running = step(), step()
    celery.signature(generate_task(MODEL), task_id=member(waiting)).apply_async(
        queue=model_queue(MODEL), priority=4
    )
    Leases(redis, "w").take(running)
    look_for_lost(redis, celery)
    assert sum(queued(redis)) == 1


def test_what_ended_meanwhile_is_not_sent_again(redis, celery, step):
    request = step()
    redis.zadd(keys.RESEND, {member(request): 0})
    ending = Entry(request.job_id, Cancelled(0, "x"), ends_as=JobState.CANCELLED)
    append(redis, [ending])
    Redelivery(redis, celery).sweep()
    assert sum(queued(redis)) == redis.zcard(keys.RESEND) == 0


def test_what_cannot_be_sent_stays_to_be_sent(redis, celery, step, monkeypatch):
    request = step()
    redis.zadd(keys.RESEND, {member(request): 0})
    away = make_app(read({"INFERENCE_REDIS_URL": "unix:///nowhere/socket"}, env_file=None))
    with pytest.raises(RedisConnectionError):
        Redelivery(redis, away).sweep()
    assert redis.zcard(keys.RESEND) == 1
    Redelivery(redis, celery).sweep()
    assert queued(redis)[0] == 1


def test_two_keepers_at_once_do_no_harm(redis, celery, step, die):
    request = step()
    Leases(redis, "w").take(request)
    redis.zadd(keys.LEASES, {member(request): 1})
    sweeps = [threading.Thread(target=Reaper(redis).sweep) for _ in range(4)]
    for thread in sweeps:
        thread.start()
    for thread in sweeps:
        thread.join()
    Redelivery(redis, celery).sweep()
    Redelivery(redis, celery).sweep()
    assert int(redis.hget(keys.job(request.job_id), f"{request.step}:crashes")) == 1
    assert sum(queued(redis)) == 1


def test_alone_means_alone():
    isolation, seen = Isolation(), []
    first_in, release = threading.Event(), threading.Event()

    def together(name, hold=False):
        with isolation.together():
            seen.append(name)
            if hold:
                first_in.set()
                release.wait(5)

    def alone():
        with isolation.alone():
            seen.append("alone")

    first = threading.Thread(target=together, args=("first", True))
    first.start()
    first_in.wait(5)
    lonely = threading.Thread(target=alone)
    lonely.start()
    wait_for(lambda: isolation._waiting_alone)
    late = threading.Thread(target=together, args=("late",))
    late.start()
    assert seen == ["first"]
    release.set()
    for thread in (first, lonely, late):
        thread.join(5)
    assert seen == ["first", "alone", "late"]


def test_a_worker_that_ends_lets_nobody_in():
    isolation = Isolation()
    isolation.close()
    with isolation.together() as together, isolation.alone() as alone:
        assert (together, alone) == (False, False)


def test_the_leases_of_a_worker_that_is_known_to_be_dead_are_not_waited_for(redis, step):
    mine, others = step(), step()
    assert not isinstance(Leases(redis, "dead").take(mine), Refusal)
    assert not isinstance(Leases(redis, "alive").take(others), Refusal)
    for worker in ("dead", "alive"):
        redis.set(keys.worker(worker), "{}", px=keys.PRESENCE_TTL_MS)
        redis.sadd(keys.WORKERS, worker)
    Reaper(redis).sweep()
    assert redis.zcard(keys.RESEND) == 0
    assert declare_dead(redis, "dead") == 1
    assert not redis.exists(keys.worker("dead"))
    Reaper(redis).sweep()
    assert redis.zrange(keys.RESEND, 0, -1) == [member(mine).encode()]
    assert redis.zscore(keys.LEASES, member(others)) is not None
    assert declare_dead(redis, "dead") == 0  # once more does no harm


def test_a_step_that_goes_on_elsewhere_is_not_taken_from_there(redis, step):
    request = step()
    assert not isinstance(Leases(redis, "alive").take(request), Refusal)
    redis.sadd(keys.held("dead"), member(request))
    assert declare_dead(redis, "dead") == 0
    Reaper(redis).sweep()
    assert redis.zcard(keys.RESEND) == 0
