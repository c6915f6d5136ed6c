"""The rule of the token log, on a real server: one writer, one terminal event, one order."""

import json
import threading
from dataclasses import replace

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.stored_job import REQUEST, stored_job
from workers.contract import keys
from workers.contract.events import Cancelled, Completed, Failed, Queued, Started, Token
from workers.contract.job import Job, JobState, Message
from workers.contract.step import Outcome, StepRequest, Timings, Usage
from workers.contract.tools import CallPart, join
from workers.store import token_log as token_log_
from workers.store.admission import Terms
from workers.store.leases import Leases, Refusal
from workers.store.planned import PlannedStep
from workers.store.token_log import Entry, TokenLog, append, read_events


def outcome(attempt=1):
    return Outcome("answer", "m", attempt, "stop", Usage(1, 2), Timings(), 100)


def token(text, attempt=1, ids=(1,)):
    return Token(0, "answer", attempt, ids, text)


def place(jobs, job_id="chatcmpl-1"):
    return jobs.queue_position(jobs.record(job_id))


def by_step(event, number, attempt=1, **ending):
    return Entry("chatcmpl-1", event, step="answer", attempt=attempt, number=number, **ending)


@pytest.fixture
def jobs(redis):
    return stored_job(redis)


@pytest.fixture
def leases(redis):
    return Leases(redis, "worker-1")


@pytest.fixture
def lease(jobs, leases):
    return leases.take(REQUEST)


@pytest.fixture
def token_log(redis):
    log = TokenLog(redis)
    log.start()
    yield log
    log.stop()


def texts(redis):
    return [e.text for e in read_events(redis, "chatcmpl-1") if isinstance(e, Token)]


def test_events_are_numbered_stored_and_published_in_the_same_bytes(redis, lease):
    listener = redis.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(keys.live("chatcmpl-1"))
    listener.get_message(timeout=5)

    assert append(redis, [by_step(token("é"), 1), by_step(token("b"), 2)]) == [2, 3]

    published = [listener.get_message(timeout=5)["data"] for _ in range(2)]
    stored = redis.xrange(keys.events("chatcmpl-1"), min="(1-0")
    assert [fields[b"e"] for _, fields in stored] == published
    assert [number for number, _ in stored] == [b"2-0", b"3-0"]
    assert [json.loads(raw)["seq"] for raw in published] == [2, 3]
    listener.close()


def test_a_reader_reads_on_from_its_last_number(redis, lease):
    append(redis, [by_step(token(str(n)), n) for n in range(1, 6)])

    assert [event.seq for event in read_events(redis, "chatcmpl-1")] == [1, 2, 3, 4, 5, 6]
    assert [event.text for event in read_events(redis, "chatcmpl-1", after_seq=4)] == ["4", "5"]
    assert read_events(redis, "chatcmpl-1", after_seq=6) == []
    assert read_events(redis, "no-such-job") == []


def test_a_repeated_write_is_stored_once(redis, lease):
    entries = [by_step(token("a"), 1), by_step(token("b"), 2)]

    append(redis, entries)
    assert all(append(redis, entries))

    assert texts(redis) == ["a", "b"]


def test_an_older_attempt_is_refused(redis, lease, leases):
    leases.hand_back(lease)
    newer = leases.take(REQUEST)

    assert newer.attempt == 2
    assert append(redis, [by_step(token("old"), 1)]) == [0]
    assert append(redis, [by_step(token("new", attempt=2), 1, attempt=2)]) == [2]
    assert texts(redis) == ["new"]


def test_exactly_one_terminal_event(redis, jobs, lease):
    done = by_step(Completed(0, outcome()), 1, ends_as=JobState.COMPLETED, outcome=outcome())
    assert append(redis, [done]) == [2]

    assert append(redis, [by_step(token("late"), 2)]) == [0]
    assert not jobs.cancel("chatcmpl-1", "too late")
    failed = Entry("chatcmpl-1", Failed(0, {"code": "X"}), ends_as=JobState.FAILED)
    assert append(redis, [failed]) == [0]
    assert isinstance(read_events(redis, "chatcmpl-1")[-1], Completed)
    record = jobs.record("chatcmpl-1")
    assert record.state is JobState.COMPLETED
    assert [step.outcome for step in record.steps] == [outcome()]


def test_an_ended_job_leaves_every_set_and_expires(redis, jobs, lease):
    assert redis.zrange(keys.LEASES, 0, -1) == [b"chatcmpl-1|answer"]

    jobs.cancel("chatcmpl-1", "client left")

    assert redis.zrange(keys.LEASES, 0, -1) == []
    for key in (keys.job("chatcmpl-1"), keys.events("chatcmpl-1")):
        assert 0 < redis.ttl(key) <= keys.SYNC_TTL_S


def test_a_cancelled_job_that_waits_is_never_run(redis, jobs, leases):
    assert place(jobs) == (1, "m")

    assert jobs.cancel("chatcmpl-1", "client left")

    assert place(jobs) is None
    assert leases.take(REQUEST) == Refusal("ended")
    assert read_events(redis, "chatcmpl-1") == [Queued(1), Cancelled(2, "client left")]


def test_positions_follow_priority_then_age(jobs):
    for number, rank in ((2, 6), (3, 2), (4, 4)):
        job = Job(f"chatcmpl-{number}", "m", (Message("user", "hi"),), created=1)
        request = StepRequest(job.id, "answer", "m", ends_job=True)
        jobs.store(job, [PlannedStep(request, {})], Terms(rank))

    positions = [place(jobs, f"chatcmpl-{number}")[0] for number in (3, 1, 4, 2)]
    assert positions == [1, 2, 3, 4]


def test_a_delivery_that_meets_a_live_lease_does_nothing(redis, lease, leases):
    assert leases.take(REQUEST) == Refusal("held")
    assert Leases(redis, "worker-2").take(REQUEST) == Refusal("held")


def test_a_delivery_that_meets_a_finished_step_or_no_job_does_nothing(redis, lease, leases):
    redis.hset(keys.job("chatcmpl-1"), "answer:state", "done")

    assert leases.take(REQUEST) == Refusal("done")
    unknown = StepRequest("chatcmpl-9", "answer", "m", ends_job=True)
    assert leases.take(unknown) == Refusal("gone")


def test_the_flusher_keeps_order_and_joins_what_gathered(redis, lease, token_log):
    writer = token_log.writer("chatcmpl-1", "answer", 1)
    writer.write(Started(0, "answer", 1, "m"))
    for number in range(200):
        said = token(f"{number} ", ids=(number,))
        part = (
            CallPart(0, "call_1", "f", "0") if number == 0 else CallPart(0, arguments=f"{number}")
        )
        writer.write(replace(said, reasoning=f"({number})", calls=(part,)))

    assert writer.end(Completed(0, outcome()), ends_as=JobState.COMPLETED, outcome=outcome())

    logged = read_events(redis, "chatcmpl-1")
    tokens = [event for event in logged if isinstance(event, Token)]
    assert "".join(event.text for event in tokens) == "".join(f"{n} " for n in range(200))
    assert "".join(event.reasoning for event in tokens) == "".join(f"({n})" for n in range(200))
    (call,) = join(part for event in tokens for part in event.calls)
    assert call == CallPart(0, "call_1", "f", "".join(map(str, range(200))))
    assert [i for event in tokens for i in event.token_ids] == list(range(200))
    assert isinstance(logged[-1], Completed)


def test_a_text_that_was_held_back_is_written_with_the_end(redis, lease, token_log, monkeypatch):
    written = []
    monkeypatch.setattr(token_log_, "BATCH", 1)
    monkeypatch.setattr(token_log_, "append", lambda r, es: written.append(es) or append(r, es))
    writer = token_log.writer("chatcmpl-1", "answer", 1)
    ended = Completed(0, outcome())
    assert writer.end(ended, token("ab", ids=()), ends_as=JobState.COMPLETED, outcome=outcome())
    assert [[entry.event.type for entry in entries] for entries in written] == [
        ["token", "completed"]
    ]


def test_a_writer_whose_job_ended_is_told(jobs, lease, token_log):
    writer = token_log.writer("chatcmpl-1", "answer", 1)
    jobs.cancel("chatcmpl-1", "client left")

    writer.write(token("unread"))

    assert writer.refused.wait(5)
    assert not writer.end(Completed(0, outcome()), ends_as=JobState.COMPLETED)


def test_while_redis_is_away_tokens_gather_and_none_is_lost(redis, lease, token_log, monkeypatch):
    away, tried = threading.Event(), threading.Event()
    away.set()
    execute = redis.execute_command

    def unreachable(*arguments, **options):
        if away.is_set() and threading.current_thread().name == "flusher":
            tried.set()
            raise RedisConnectionError("refused")
        return execute(*arguments, **options)

    monkeypatch.setattr(redis, "execute_command", unreachable)
    writer = token_log.writer("chatcmpl-1", "answer", 1)
    for text in "abc":
        writer.write(token(text))
    assert tried.wait(5)
    assert texts(redis) == []

    away.clear()

    assert writer.end(Completed(0, outcome()), ends_as=JobState.COMPLETED, outcome=outcome())
    assert "".join(texts(redis)) == "abc"
