"""What becomes of members of a round that are late, and of those that come after them."""

import itertools
import json

import pytest

from orchestration.modes.rounds import Round, Step
from orchestration.rounds import dispatch
from tests.support.waiting import wait_for
from workers.app import ORCHESTRATION_QUEUE
from workers.contract import keys
from workers.contract.events import StepFinished, Token
from workers.contract.job import Job, JobState, Message
from workers.contract.step import LATE, ORCHESTRATOR, Outcome, Timings, Usage
from workers.keeper.reaper import MOST_CRASHES, Reaper
from workers.keeper.redelivery import Redelivery
from workers.keeper.round_timeouts import RoundTimeouts
from workers.store import dead_letters
from workers.store.admission import Terms
from workers.store.leases import Leases, Refusal
from workers.store.planned import Patience
from workers.store.token_log import Entry, append

HOUR_S = 3600.0
_numbers = itertools.count(1)


@pytest.fixture
def stored(jobs, celery):
    """A stored round of three members; their requests, and the one that decides after them."""

    def stored(patience):
        job = Job(f"chatcmpl-r{next(_numbers)}", "a", (Message("user", "x"),), created=1)
        steps = tuple(Step(f"member-{at}", "member", model) for at, model in enumerate("abc", 1))
        planned = dispatch.plan(celery, job, 1, Round(steps, patience))
        jobs.store(job, planned, Terms(4))
        return [step.request for step in planned]

    return stored


@pytest.fixture
def leases(redis):
    return Leases(redis, "w")


def finish(redis, request, attempt=1, text="said", error=None):
    """A member ends, as its worker would write it."""
    reason = "error" if error else "stop"
    outcome = Outcome(
        request.step, request.model, attempt, reason, Usage(1, 1), Timings(), 100, error
    )
    entry = Entry(
        request.job_id,
        StepFinished(0, outcome),
        request.step,
        attempt,
        99,
        outcome=outcome,
        text=text,
    )
    return append(redis, [entry]) != [0]


def let_pass(redis, request):
    """Let the time of a round be over."""
    redis.zadd(keys.ROUNDS, {keys.lease_member(request.job_id, "advance-1"): 1}, xx=True)


def ends_in_s(redis, deciding):
    """Seconds until the rest of a round is given up; None where it is waited for."""
    at_ms = redis.zscore(keys.ROUNDS, keys.lease_member(deciding.job_id, deciding.step))
    seconds, micros = redis.time()
    return None if at_ms is None else at_ms / 1000 - seconds - micros / 1e6


def outcomes(jobs, request):
    record = jobs.record(request.job_id)
    return {step.step: step.outcome for step in record.steps}


def test_a_round_has_its_time_from_when_it_is_stored(redis, stored):
    *_, deciding = stored(Patience(2, 60, 600))
    assert 590 < ends_in_s(redis, deciding) <= 600


def test_a_round_without_patience_is_waited_for(redis, stored):
    *_, deciding = stored(None)
    assert ends_in_s(redis, deciding) is None


def test_after_the_quorum_the_rest_has_its_grace(redis, stored, leases):
    first, second, _third, deciding = stored(Patience(2, 60, 600))
    for member in (first, second):
        leases.take(member)
    finish(redis, first)
    assert ends_in_s(redis, deciding) > 590
    finish(redis, second)
    assert 50 < ends_in_s(redis, deciding) <= 60


@pytest.mark.parametrize("ending", [{"text": ""}, {"text": " \n"}, {"error": {"code": "X"}}])
def test_who_says_nothing_makes_no_quorum(redis, stored, leases, ending):
    first, second, _third, deciding = stored(Patience(2, 60, 600))
    for member in (first, second):
        leases.take(member)
    finish(redis, first)
    finish(redis, second, **ending)
    assert ends_in_s(redis, deciding) > 590


def test_grace_never_outlasts_the_time_of_the_round(redis, stored, leases):
    first, _second, _third, deciding = stored(Patience(1, HOUR_S, 5))
    leases.take(first)
    finish(redis, first)
    assert ends_in_s(redis, deciding) <= 5


def test_when_all_have_ended_nothing_is_given_up(redis, jobs, stored, leases):
    *members, deciding = stored(Patience(2, 60, 600))
    for member in members:
        leases.take(member)
        finish(redis, member)
    assert ends_in_s(redis, deciding) is None
    assert redis.zscore(keys.waiting(ORCHESTRATOR), f"{deciding.job_id}|{deciding.step}")


def test_the_late_are_ended_for_them_and_the_decision_is_sent(redis, celery, jobs, stored, leases):
    first, second, _third, deciding = stored(Patience(2, 60, 600))
    for member in (first, second):  # the third one never got a worker
        leases.take(member)
    finish(redis, first)
    assert leases.take(deciding) == Refusal("early")
    let_pass(redis, deciding)
    RoundTimeouts(redis).sweep()
    ended = outcomes(jobs, first)
    assert ended["member-1"].error is None
    assert ended["member-2"].finish_reason == ended["member-3"].finish_reason == LATE
    assert ended["member-2"].error["code"] == "REQUEST_TIMEOUT"
    assert "b was late: member-2 did not end within 600 s" in ended["member-2"].error["message"]
    assert "member-3 was not begun" in ended["member-3"].error["message"]
    events = jobs.events(first.job_id)
    assert [event.outcome.step for event in events if isinstance(event, StepFinished)] == [
        "member-1",
        "member-2",
        "member-3",
    ]
    assert redis.zcard(keys.LEASES) == redis.zcard(keys.ROUNDS) == 0
    assert redis.zcard(keys.waiting("c")) == 0
    assert redis.scard(keys.running("b")) == redis.scard(keys.held("w")) == 0
    Redelivery(redis, celery).sweep()
    (raw,) = redis.lrange(ORCHESTRATION_QUEUE, 0, -1)
    assert json.loads(raw)["headers"]["id"] == f"{deciding.job_id}|{deciding.step}"
    assert leases.take(deciding).attempt == 1


def test_after_the_quorum_the_late_steps_say_so(redis, jobs, stored, leases):
    first, second, third, deciding = stored(Patience(2, 60, 600))
    for member in (first, second, third):
        leases.take(member)
    finish(redis, first)
    finish(redis, second)
    let_pass(redis, deciding)
    RoundTimeouts(redis).sweep()
    message = outcomes(jobs, first)["member-3"].error["message"]
    assert "within 60 s after the 2 that had answered" in message


def test_a_late_delivery_is_ignored(redis, jobs, stored, leases):
    first, second, _third, deciding = stored(Patience(2, 60, 600))
    leases.take(second)
    append(
        redis, [Entry(second.job_id, Token(0, second.step, 1, (1, 2), "x y"), second.step, 1, 1)]
    )
    let_pass(redis, deciding)
    RoundTimeouts(redis).sweep()
    assert outcomes(jobs, first)["member-2"].usage == Usage(0, 2)
    last = jobs.record(first.job_id).last_seq
    assert not finish(redis, second)
    token = Token(0, second.step, 1, (1,), "x")
    assert append(redis, [Entry(second.job_id, token, second.step, 1, 2)]) == [0]
    assert leases.take(first) == Refusal("done")
    assert jobs.record(first.job_id).last_seq == last


def test_what_has_ended_by_itself_stays_as_it_is(redis, jobs, stored, leases):
    first, second, third, deciding = stored(Patience(3, 60, 600))
    for member in (first, second, third):
        leases.take(member)
        finish(redis, member)
    redis.zadd(keys.ROUNDS, {f"{deciding.job_id}|{deciding.step}": 1})
    RoundTimeouts(redis).sweep()
    assert {outcome.finish_reason for outcome in outcomes(jobs, first).values()} == {"stop"}
    assert redis.zcard(keys.ROUNDS) == 0


def test_only_the_late_step_is_told_to_stop(redis, stored, leases):
    first, second, third, deciding = stored(Patience(1, 60, 600))
    held = {member.step: leases.take(member) for member in (first, second)}
    other = Leases(redis, "v")
    kept = other.take(third)
    leases.start()
    other.start()
    try:
        # Both listen before anything is said.
        wait_for(lambda: redis.pubsub_numsub(keys.CANCELS)[0][1] == 2)
        redis.publish(keys.CANCELS, keys.lease_member(second.job_id, second.step))
        wait_for(held["member-2"].stop.is_set)
        assert not held["member-1"].stop.is_set()
        assert not kept.stop.is_set()
        let_pass(redis, deciding)
        RoundTimeouts(redis).sweep()
        wait_for(lambda: held["member-1"].stop.is_set() and kept.stop.is_set())
    finally:
        leases.stop()
        other.stop()


def test_nobody_is_late_right_after_redis_was_away(redis, jobs, stored):
    first, *_, deciding = stored(Patience(2, 60, 600))
    let_pass(redis, deciding)
    duty = RoundTimeouts(redis)
    duty.begin()
    duty.sweep()
    assert outcomes(jobs, first)["member-1"] is None
    assert ends_in_s(redis, deciding) is not None


def test_a_job_that_ends_is_forgotten(redis, jobs, stored):
    *_, deciding = stored(Patience(2, 60, 600))
    jobs.cancel(deciding.job_id, "no longer wanted")
    assert redis.zcard(keys.ROUNDS) == 0


def test_a_record_that_is_gone_is_dropped(redis):
    redis.zadd(keys.ROUNDS, {"chatcmpl-gone|advance-1": 1})
    RoundTimeouts(redis).sweep()
    assert redis.zcard(keys.ROUNDS) == 0


def test_a_member_that_kills_its_worker_again_and_again_ends_alone(redis, jobs, stored, leases):
    first, second, _third, _deciding = stored(Patience(2, 60, 600))
    leases.take(first)
    redis.hset(keys.job(second.job_id), f"{second.step}:crashes", MOST_CRASHES - 1)
    Leases(redis, "v").take(second)
    redis.zadd(keys.LEASES, {keys.lease_member(second.job_id, second.step): 1})
    Reaper(redis).sweep()
    record = jobs.record(first.job_id)
    assert record.state is JobState.RUNNING
    assert outcomes(jobs, first)["member-2"].error["code"] == "JOB_POISONED"
    assert dead_letters.listed(redis) == []
    assert redis.zcard(keys.LEASES) == 1


def test_one_that_nobody_makes_good_for_ends_its_job(redis, jobs, stored):
    first, *_ = stored(None)
    redis.hset(keys.job(first.job_id), f"{first.step}:crashes", MOST_CRASHES - 1)
    Leases(redis, "v").take(first)
    redis.zadd(keys.LEASES, {keys.lease_member(first.job_id, first.step): 1})
    Reaper(redis).sweep()
    assert jobs.record(first.job_id).state is JobState.FAILED
    assert dead_letters.listed(redis) == [first.job_id]
