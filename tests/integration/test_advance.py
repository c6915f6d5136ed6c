"""The advancer on a real server: what it stores and sends after a round, once."""

import itertools
import json

import pytest

from orchestration.context.planning import Planner
from orchestration.modes import registry
from orchestration.rounds import dispatch
from orchestration.rounds.advance import RoundAdvancer
from tests.support.waiting import wait_for
from tests.support.word_counter import WordCounter, budgets_of
from workers.app import model_queue
from workers.contract import keys
from workers.contract.errors import HandoffStateInvalid, ModelBusy, NoWorker
from workers.contract.events import Assessed, Completed, Failed, StepFinished, Token
from workers.contract.job import CastMember, Job, JobState, Message
from workers.contract.step import ORCHESTRATOR, Outcome, StepRequest, Timings, Usage
from workers.keeper.redelivery import Redelivery
from workers.store.admission import Terms
from workers.store.leases import Leases, Refusal
from workers.store.token_log import Entry, append, read_events

_numbers = itertools.count(1)
#: A pipeline of three models, each with one queue.
CAST = (CastMember("draft", "a"), CastMember("refine", "b"), CastMember("validate", "c"))


@pytest.fixture
def worker(redis):
    """A worker of every model."""
    return Leases(redis, "worker-1")


@pytest.fixture
def advancer(redis, celery):
    return RoundAdvancer(redis, celery, Leases(redis, "orchestration-1"), "orchestration-1", MODES)


MODES = registry.load(None)


@pytest.fixture
def job(jobs, celery):
    """A stored pipeline whose first round's messages were sent."""
    made = Job(
        f"chatcmpl-{next(_numbers)}",
        "c",
        (Message("user", "Why?"),),
        created=1,
        mode="pipeline",
        cast=CAST,
    )
    planned = dispatch.plan(celery, made, 1, MODES["pipeline"].plan(made))
    jobs.store(made, planned, Terms(4))
    dispatch.send(celery, planned, 4)
    return made


def messages(redis, queue, rank=0):
    """Ids of the messages in a queue's list."""
    name = queue if rank == 0 else f"{queue}\x06\x16{rank}"
    return [json.loads(raw)["headers"]["id"] for raw in redis.lrange(name, 0, -1)]


def end(redis, worker, job, step, model, text="a text", *, error=None):
    """Let a worker take a step and end it."""
    lease = worker.take(StepRequest(job.id, step, model, ends_job=False))
    outcome = Outcome(
        step,
        model,
        lease.attempt,
        "error" if error else "stop",
        Usage(5, 2),
        Timings(),
        100,
        error=error.to_dict() if error else None,
    )
    entry = Entry(
        job.id,
        StepFinished(0, outcome),
        step=step,
        attempt=lease.attempt,
        number=1,
        outcome=outcome,
        text=text,
    )
    assert append(redis, [entry]) != [0]
    worker.drop(lease)
    return lease


def advance(advancer, job, number):
    advancer.advance(StepRequest(job.id, f"advance-{number}", ORCHESTRATOR, ends_job=False))


def steps(jobs, job):
    return [(step.step, step.model, step.state.value) for step in jobs.record(job.id).steps]


def test_the_deciding_step_waits_for_the_round(redis, job):
    deciding = StepRequest(job.id, "advance-1", ORCHESTRATOR, ends_job=False)
    assert Leases(redis, "other").take(deciding) == Refusal("early")
    assert redis.zcard(keys.waiting(ORCHESTRATOR)) == 0


def test_after_a_round_the_next_is_stored_and_sent_before_all_new_work(
    redis, jobs, worker, advancer, job
):
    end(redis, worker, job, "draft", "a", "the draft")
    assert redis.zcard(keys.waiting(ORCHESTRATOR)) == 1
    advance(advancer, job, 1)
    assert steps(jobs, job) == [("draft", "a", "done"), ("refine", "b", "pending")]
    assert messages(redis, model_queue("b")) == [f"{job.id}|refine"]
    assert redis.zcard(keys.waiting(ORCHESTRATOR)) == 0
    lease = worker.take(StepRequest(job.id, "refine", "b", ends_job=False))
    assert "the draft" in lease.assignment.messages[-1].content


def test_what_a_check_finds_is_kept_with_its_step(redis, jobs, worker, advancer, job):
    end(redis, worker, job, "draft", "a", "I apologize: a text")
    advance(advancer, job, 1)
    checked, next_ = jobs.record(job.id).steps
    (issue,) = checked.validation["issues"]
    assert issue["marker"] == "I apologize"
    assert checked.validation["recommendation"] == "proceed"
    assert next_.validation is None


def test_a_prompt_is_planned_and_what_is_too_long_is_shortened_first(
    redis, jobs, celery, worker, job
):
    planner = Planner(WordCounter(), budgets_of(b=4096))
    leases = Leases(redis, "orchestration-1")
    advancer = RoundAdvancer(redis, celery, leases, "orchestration-1", MODES, planner)
    end(redis, worker, job, "draft", "a", "long " * 3000)
    advance(advancer, job, 1)
    shortening = "compress-draft-1-1-1"
    assert steps(jobs, job)[-1] == (shortening, "a", "pending")
    assert messages(redis, model_queue("a")) == [f"{job.id}|{shortening}"]
    lists = dict.fromkeys(("decisions", "constraints", "open_questions", "evidence", "errors"), ())
    end(redis, worker, job, shortening, "a", json.dumps({**lists, "context": "It is long."}))
    advance(advancer, job, 2)
    refine = jobs.record(job.id).steps[-1]
    assert "It is long." in refine.assignment.messages[-1].content
    assert refine.plan["window"] == 4096
    handoff = refine.plan["parts"]["handoff"]
    assert (handoff["asked"], handoff["got"]) == (3000, 3)
    assessed = [e for e in read_events(redis, job.id) if isinstance(e, Assessed)]
    assert [e.step for e in assessed if "plan" in e.findings] == ["draft", "refine"]


def test_without_the_tokenizer_a_job_goes_on_and_is_not_planned(redis, jobs, celery, worker, job):
    class Away(WordCounter):
        def count_messages(self, model, messages, template=None):
            raise NoWorker

    planner = Planner(Away(), budgets_of())
    leases = Leases(redis, "orchestration-1")
    advancer = RoundAdvancer(redis, celery, leases, "orchestration-1", MODES, planner)
    end(redis, worker, job, "draft", "a", "long " * 20)
    advance(advancer, job, 1)
    refine = jobs.record(job.id).steps[-1]
    assert (refine.step, refine.plan) == ("refine", None)


def test_a_deciding_step_that_comes_twice_acts_once(redis, jobs, worker, advancer, job):
    end(redis, worker, job, "draft", "a")
    advance(advancer, job, 1)
    advance(advancer, job, 1)
    assert messages(redis, model_queue("b")) == [f"{job.id}|refine"]
    assert len(steps(jobs, job)) == 2


def test_the_signature_of_a_step_links_what_follows(redis, celery, job):
    (raw,) = redis.lrange(f"{model_queue('a')}\x06\x164", 0, -1)
    embedded = json.loads(redis_body(raw))[2]
    (follows,) = embedded["chain"]
    assert follows["task"] == dispatch.ADVANCE
    assert follows["options"]["task_id"] == f"{job.id}|advance-1"


def redis_body(raw):
    import base64

    message = json.loads(raw)
    return base64.b64decode(message["body"])


def test_the_answer_ends_the_job_with_the_sum_of_its_steps(redis, jobs, worker, advancer, job):
    for number, (step, model) in enumerate([("draft", "a"), ("refine", "b"), ("answer", "c")], 1):
        end(redis, worker, job, step, model)
        advance(advancer, job, number)
    last = read_events(redis, job.id)[-1]
    assert isinstance(last, Completed)
    assert last.outcome.usage == Usage(15, 6)
    assert jobs.record(job.id).state is JobState.COMPLETED
    assert redis.zcard(keys.LEASES) == redis.zcard(keys.waiting(ORCHESTRATOR)) == 0


def test_a_text_that_was_held_back_becomes_the_answers_tokens(redis, worker, advancer, job):
    end(redis, worker, job, "draft", "a", "the draft")
    advance(advancer, job, 1)
    end(redis, worker, job, "refine", "b", "", error=HandoffStateInvalid("it broke"))
    advance(advancer, job, 2)
    *_, token, completed = read_events(redis, job.id)
    assert isinstance(token, Token)
    assert (token.step, token.text) == ("answer", "the draft")
    assert completed.outcome.finish_reason == "partial"


def test_a_step_that_is_to_wait_is_woken_by_the_keeper(redis, jobs, celery, worker, advancer, job):
    busy = ModelBusy(retry_after_ms=100)
    end(redis, worker, job, "draft", "a", "", error=busy)
    advance(advancer, job, 1)
    assert redis.zrange(keys.DUE, 0, -1) == [f"{job.id}|draft.2".encode()]
    assert messages(redis, model_queue("a")) == []
    keeper = Redelivery(redis, celery)

    def woken():
        keeper.sweep()
        return messages(redis, model_queue("a"))

    assert wait_for(woken) == [f"{job.id}|draft.2"]
    assert redis.zcard(keys.DUE) == 0
    assert worker.take(StepRequest(job.id, "draft.2", "a", ends_job=False)).attempt == 1


def test_a_step_of_an_ended_job_is_not_woken(redis, jobs, celery, worker, advancer, job):
    end(redis, worker, job, "draft", "a", "", error=ModelBusy(retry_after_ms=1))
    advance(advancer, job, 1)
    jobs.cancel(job.id, "nobody wants it")
    keeper = Redelivery(redis, celery)

    def dropped():
        keeper.sweep()
        return redis.zcard(keys.DUE) == 0

    wait_for(dropped)
    assert messages(redis, model_queue("a")) == []
    assert redis.zcard(keys.waiting("a")) == 0


def test_what_a_dying_advancer_did_not_send_is_found(redis, celery, worker, advancer, job):
    end(redis, worker, job, "draft", "a")
    advance(advancer, job, 1)
    redis.delete(model_queue("b"))
    keeper = Redelivery(redis, celery)
    keeper.begin()

    def sent():
        keeper.sweep()
        return messages(redis, model_queue("b"))

    assert wait_for(sent) == [f"{job.id}|refine"]


def test_a_state_that_is_not_whole_ends_the_job(redis, jobs, worker, advancer, job):
    end(redis, worker, job, "draft", "a")
    advance(advancer, job, 1)
    redis.set(keys.handoff(job.id, 1), "{}")
    end(redis, worker, job, "refine", "b")
    advance(advancer, job, 2)
    last = read_events(redis, job.id)[-1]
    assert isinstance(last, Failed)
    assert last.error["code"] == "HANDOFF_STATE_INVALID"


def test_what_cannot_be_decided_ends_the_job(redis, celery, worker, job):
    class Broken:
        def __getattr__(self, name):
            raise OverflowError(name)

    end(redis, worker, job, "draft", "a")
    leases = Leases(redis, "orchestration-1")
    broken = RoundAdvancer(redis, celery, leases, "orchestration-1", {"pipeline": Broken()})
    advance(broken, job, 1)
    last = read_events(redis, job.id)[-1]
    assert isinstance(last, Failed)
    assert last.error["code"] == "INTERNAL"


def test_a_state_that_is_no_longer_kept_is_made_anew(redis, jobs, worker, advancer, job):
    end(redis, worker, job, "draft", "a")
    advance(advancer, job, 1)
    redis.delete(keys.handoff(job.id, 1))
    end(redis, worker, job, "refine", "b")
    advance(advancer, job, 2)
    assert steps(jobs, job)[-1] == ("answer", "c", "pending")
    state = json.loads(redis.get(keys.handoff(job.id, 2)))
    assert state["current_step"] == 2


def test_a_job_that_was_cancelled_goes_no_further(redis, jobs, worker, advancer, job):
    end(redis, worker, job, "draft", "a")
    jobs.cancel(job.id, "nobody wants it")
    advance(advancer, job, 1)
    assert steps(jobs, job) == [("draft", "a", "done")]
    assert messages(redis, model_queue("b")) == []
