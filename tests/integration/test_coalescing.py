"""Requests that ask the same at the same moment are one job; on a real server, without a worker's
process.
"""

import contextlib
import itertools
import threading

import pytest

from orchestration import coalescing
from tests.support.waiting import wait_for
from web.app import create_app
from web.services import Services
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.contract.events import Token
from workers.contract.job import Job, Message
from workers.contract.sampling import Sampling
from workers.contract.step import StepRequest, Timings, Usage
from workers.engines.base import Delta
from workers.runtime import generation
from workers.settings import read
from workers.store.admission import Idempotency
from workers.store.leases import Leases
from workers.store.token_log import TokenLog

MODEL = "smollm2-135m"
WITHIN_S = 60


def job(id_="chatcmpl-1", text="hello", owner=None, **fields):
    fields.setdefault("sampling", Sampling(temperature=0.0))
    return Job(id_, MODEL, (Message("user", text),), 1, mode="single", owner=owner, **fields)


class Says:
    """An engine that says a word, and the rest once it may."""

    context_length, memory_bytes = 8192, 0

    def __init__(self):
        self.asked = 0
        self.said_one, self.may_go_on = threading.Event(), threading.Event()
        self.stopped = threading.Event()

    def generate(self, request, cancelled):
        self.asked += 1
        yield Delta("one ", (1,))
        self.said_one.set()
        while not self.may_go_on.wait(0.01):
            if cancelled.is_set():
                self.stopped.set()
                yield Delta(finish_reason="cancelled", usage=Usage(1, 1), timings=Timings())
                return
        yield Delta("two", (2,))
        yield Delta(finish_reason="stop", usage=Usage(5, 2), timings=Timings())


@pytest.fixture
def settings(tmp_path, redis_socket):
    def settings(**environ):
        environ = {
            "INFERENCE_DATA_DIR": str(tmp_path),
            "INFERENCE_BACKEND": "scripted",
            "INFERENCE_REDIS_URL": f"unix://{redis_socket}",
            "INFERENCE_COALESCE": "true",
            **environ,
        }
        return read(environ, env_file=None)

    return settings


@pytest.fixture
def engine(redis):
    """What answers, as soon as a step waits: a worker on a thread of this process."""
    presence = Presence(redis, Worker("w", MODEL, pid=1, host="h", concurrency=4))
    leases, token_log = Leases(redis, "w"), TokenLog(redis)
    says, ends = Says(), threading.Event()
    presence.loaded(1, 8192)
    for started in (presence, leases, token_log):
        started.start()
    runner = generation.StepRunner(says, leases, token_log)

    def work():
        while not ends.wait(0.01):
            for raw in redis.zrange(keys.waiting(MODEL), 0, -1):
                job_id, step = keys.split_lease_member(raw.decode())
                generation.run(StepRequest(job_id, step, MODEL, ends_job=True), runner)

    thread = threading.Thread(target=work)
    thread.start()
    yield says
    ends.set()
    says.may_go_on.set()
    thread.join(WITHIN_S)
    for stopped in (token_log, leases, presence):
        stopped.stop()


@pytest.fixture
def front_end(settings, redis, engine):
    """Makes front ends; each opens requests."""
    made = []

    def front_end(**environ):
        services = Services.start(settings(**environ))
        made.append(services)
        wait_for(lambda: services.directory.serving(MODEL))
        return services

    yield front_end
    for services in made:
        for thread in (services.hub, services.disconnects, services.reporter):
            thread.stop()


@pytest.fixture
def opened():
    """Opens a request that is read until the test closes it."""
    with contextlib.ExitStack() as all_:

        def opened(services, asked, **options):
            held = all_.enter_context(contextlib.ExitStack())
            options = {"may_share": True, **options}
            return held.enter_context(services.live_completions.open(asked, **options)), held.close

        yield opened


def text(completion):
    batches = [completion.before_first_token(WITHIN_S), *completion.rest()]
    events = itertools.chain.from_iterable(batches)
    return "".join(event.text for event in events if isinstance(event, Token))


def test_all_readers_get_the_whole_answer_which_is_decoded_once(front_end, engine, opened):
    here, elsewhere = front_end(), front_end()
    first, _ = opened(here, job("chatcmpl-1"))
    assert engine.said_one.wait(WITHIN_S)
    later = [
        opened(services, job(f"chatcmpl-{n}"))[0] for n, services in ((2, here), (3, elsewhere))
    ]
    assert [each.joined for each in (first, *later)] == [False, True, True]
    assert {each.job.id for each in later} == {"chatcmpl-1"}
    engine.may_go_on.set()
    assert [text(each) for each in (first, *later)] == ["one two"] * 3
    assert engine.asked == 1


def test_one_that_leaves_does_not_end_it_and_the_last_one_does(front_end, engine, opened, jobs):
    services = front_end()
    leaves = [opened(services, job(f"chatcmpl-{number}"))[1] for number in (1, 2, 3)]
    assert engine.said_one.wait(WITHIN_S)
    for leave in leaves[:2]:  # the first, whose job it is, among them
        leave()
    assert jobs.record("chatcmpl-1").ended_ms is None
    last, _ = opened(services, job("chatcmpl-4"))
    leaves[2]()
    assert jobs.record("chatcmpl-1").ended_ms is None
    last.leave()
    last.leave()  # twice is once
    assert engine.stopped.wait(WITHIN_S)
    assert jobs.record("chatcmpl-1").state == "cancelled"
    fresh, _ = opened(services, job("chatcmpl-5"))
    assert not fresh.joined


def test_a_reader_that_is_left_reads_to_the_end(front_end, engine, opened):
    services = front_end()
    _, leave = opened(services, job("chatcmpl-1"))
    assert engine.said_one.wait(WITHIN_S)
    left, _ = opened(services, job("chatcmpl-2"))
    leave()
    engine.may_go_on.set()
    assert text(left) == "one two"


def test_an_answer_that_has_ended_is_not_kept(front_end, engine, opened):
    services = front_end()
    engine.may_go_on.set()
    first, _ = opened(services, job("chatcmpl-1"))
    assert text(first) == "one two"
    again, _ = opened(services, job("chatcmpl-2"))
    assert not again.joined
    assert text(again) == "one two"
    assert engine.asked == 2


@pytest.mark.parametrize(
    "other",
    [
        {"text": "hello!"},
        {"owner": "key-b"},
        {"sampling": Sampling(temperature=0.0, max_tokens=5)},
        {"metadata": {"a": "b"}},
        {"choices": 2},
    ],
)
def test_another_request_is_another_job(front_end, opened, other):
    services = front_end()
    opened(services, job("chatcmpl-1"))
    second, _ = opened(services, job("chatcmpl-2", **other))
    assert not second.joined


@pytest.mark.parametrize(
    ("sampling", "shared"),
    [
        (Sampling(temperature=0.0), True),
        (Sampling(temperature=0.7, seed=1), True),
        (Sampling(temperature=0.7), False),
    ],
)
def test_only_answers_that_would_be_alike_are_shared(sampling, shared):
    assert (coalescing.digest(job(sampling=sampling)) is not None) == shared
    assert coalescing.digest(job(sampling=sampling, asynchronous=True)) is None


def test_names_of_a_request_make_no_difference():
    one = job("chatcmpl-1", request_id="r-1")
    assert coalescing.digest(one) == coalescing.digest(job("chatcmpl-2", request_id="r-2"))


def test_nothing_is_shared_where_that_is_off_or_another_key_stands_for_it(front_end, opened):
    off, on = front_end(INFERENCE_COALESCE="false"), front_end()
    opened(off, job("chatcmpl-1"))
    assert not opened(off, job("chatcmpl-2"))[0].joined
    opened(on, job("chatcmpl-3"))
    assert not opened(on, job("chatcmpl-4"), may_share=False)[0].joined
    idempotency = Idempotency("chat::k", "ab")
    assert not opened(on, job("chatcmpl-5"), idempotency=idempotency)[0].joined
    assert opened(on, job("chatcmpl-6"))[0].joined


def test_a_request_whose_job_nobody_reads_is_joined_by_nobody(front_end, opened, redis):
    """Its last reader has left, and the cancellation is on its way."""
    services = front_end()
    opened(services, job("chatcmpl-1"))
    redis.hset(keys.job("chatcmpl-1"), "readers", 0)
    assert not opened(services, job("chatcmpl-2"))[0].joined


def test_callers_see_that_an_answer_is_shared(settings, redis, engine):
    app = create_app(settings())
    body = {"model": MODEL, "temperature": 0, "messages": [{"role": "user", "content": "hello"}]}
    answers = []

    def ask():
        answers.append(app.test_client().post("/v1/chat/completions", json=body))

    wait_for(lambda: app.extensions["inference"].directory.serving(MODEL))
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()

    def read_by_all():
        (name,) = redis.scan_iter(f"{keys.PREFIX}coalesced:*")
        return redis.hget(keys.job(redis.get(name).decode()), "readers") == b"3"

    assert engine.said_one.wait(WITHIN_S)
    wait_for(read_by_all, WITHIN_S)
    engine.may_go_on.set()
    for thread in threads:
        thread.join(WITHIN_S)
    app.extensions["inference"].hub.stop()
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.json["id"] for answer in answers}) == 1
    assert {answer.json["choices"][0]["message"]["content"] for answer in answers} == {"one two"}
    assert sorted("X-Coalesced" in answer.headers for answer in answers) == [False, True, True]
