"""Lines about a job of which its id alone is at hand name its request and its trace."""

import json
import logging

import pytest

from tests.support.stored_job import REQUEST
from workers import logs
from workers.contract import keys
from workers.contract.job import Job, JobState, Message
from workers.contract.trace_context import TraceContext
from workers.keeper.deadlines import Deadlines
from workers.keeper.duties import RecoveryGrace
from workers.keeper.reaper import Reaper
from workers.store import job_names
from workers.store.admission import Terms
from workers.store.jobs import JobStore
from workers.store.leases import Leases
from workers.store.planned import PlannedStep

TRACE = TraceContext("c" * 32, "d" * 16, sampled=True)
NAMES = {"job_id": REQUEST.job_id, "request_id": "req-1", "trace_id": TRACE.trace_id}
JOB = Job(
    REQUEST.job_id,
    REQUEST.model,
    (Message("user", "a secret"),),
    created=1,
    request_id="req-1",
    trace=TRACE,
    deadline_s=60,
)


@pytest.fixture
def jobs(redis):
    jobs = JobStore(redis)
    jobs.store(JOB, [PlannedStep(REQUEST, {"task": "generate.m"})], Terms(rank=4))
    return jobs


@pytest.fixture
def lines():
    """(message, what stands beside it) of each line of the workers' modules."""
    kept = []

    class Handler(logging.Handler):
        def emit(self, record):
            kept.append((record.getMessage(), dict(logs.bound_fields())))

    handler, workers = Handler(), logging.getLogger("workers")
    level = workers.level
    workers.addHandler(handler)
    workers.setLevel(logging.INFO)
    yield kept
    workers.removeHandler(handler)
    workers.setLevel(level)


def test_a_job_is_named_without_its_request_before_and_after_its_end(redis, jobs):
    for _ in range(2):
        named = job_names.without_request(redis, JOB.id)
        assert named.log_fields == NAMES
        assert named.messages == ()
        jobs.cancel(JOB.id, "no longer wanted")
    assert jobs.record(JOB.id).state is JobState.CANCELLED


@pytest.mark.parametrize("job", [None, {**JOB.to_dict(), "version": 999}])
def test_what_has_no_record_or_a_newer_one_is_named_by_its_id(redis, job):
    if job is not None:
        redis.hset(keys.job(JOB.id), "ended_job", json.dumps(job))
    with job_names.bound(redis, JOB.id, model="m"):
        assert logs.bound_fields() == {"job_id": JOB.id, "model": "m"}
    assert logs.bound_fields() == {}


def test_a_job_past_its_deadline(redis, jobs, lines):
    redis.zadd(keys.DEADLINES, {JOB.id: 1})
    Deadlines(redis).sweep()
    assert lines == [(f"keeper: {JOB.id} is past its deadline", NAMES)]


def test_a_step_that_lost_its_worker(redis, jobs, lines, monkeypatch):
    monkeypatch.setattr(RecoveryGrace, "lasts", lambda _: False)
    Leases(redis, "w").take(REQUEST)
    redis.zadd(keys.LEASES, {keys.lease_member(JOB.id, REQUEST.step): 1})
    Reaper(redis).sweep()
    assert [fields for message, fields in lines if "lost step" in message] == [NAMES]


def test_a_step_that_runs_already(redis, jobs, lines):
    Leases(redis, "w").take(REQUEST)
    Leases(redis, "other").take(REQUEST)
    assert lines == [(f"step answer of {JOB.id} not taken: held", NAMES)]
