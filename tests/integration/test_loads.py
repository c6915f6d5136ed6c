"""The keeper's duty, the worker's ear, and the orders between them, on a real server."""

import dataclasses
import threading

import pytest

from orchestration.loading import Loader, State
from orchestration.modes.rounds import Round, Step
from orchestration.rounds import dispatch
from presets.catalogue import Catalogue
from tests.support.waiting import wait_for
from web.cli.up import model_workers
from web.cli.up.model_workers import ModelWorkers
from workers.cluster.directory import Directory
from workers.cluster.orders import Order, Orders, Target, Why
from workers.cluster.presence import Presence, Worker, WorkerStatus
from workers.cluster.supervision import SUPERVISOR
from workers.contract import keys
from workers.contract.errors import ModelBusy, ModelLoadFailed, NoWorker
from workers.contract.events import Failed
from workers.contract.job import Job, Message
from workers.contract.step import StepRequest
from workers.keeper.keeper import Keeper
from workers.keeper.model_loads import ModelLoads
from workers.loading.order_watcher import OrderWatcher
from workers.settings import read
from workers.store.admission import Terms
from workers.store.jobs import JobStore
from workers.store.leases import Leases
from workers.store.planned import Patience, PlannedStep

MODEL = "smollm2-135m"
SPEC = Catalogue.load(None, "scripted").get(MODEL)


@pytest.fixture
def settings(tmp_path, redis_socket):
    def make(**environ):
        environ = {"INFERENCE_DATA_DIR": str(tmp_path), "INFERENCE_BACKEND": "scripted", **environ}
        environ["INFERENCE_REDIS_URL"] = f"unix://{redis_socket}"
        return read(environ, env_file=None)

    return make


@pytest.fixture
def orders(redis):
    return Orders(redis)


@pytest.fixture
def worker(redis):
    """Announces workers of the model; no process runs."""
    started = []

    def make(**fields):
        number = len(started)
        presence = Presence(redis, Worker(f"w{number}", MODEL, pid=1, host="h", concurrency=1))
        presence.start()
        started.append(presence)
        if fields:
            presence._change(**fields)
        wait_for(lambda: presence.worker in Directory(redis, ttl_s=0).workers())
        return presence

    yield make
    for presence in started:
        presence.stop()


@pytest.fixture
def submit(redis):
    """Stores a job that waits for the model."""
    jobs = JobStore(redis)

    def make(job_id, *, asynchronous=False):
        job = Job(job_id, MODEL, (Message("user", "x"),), created=1, asynchronous=asynchronous)
        step = StepRequest(job_id, "answer", MODEL, ends_job=True)
        jobs.store(job, [PlannedStep(step, {"task": "t"})], Terms(4))
        return step

    return make


def ended(redis, job_id):
    """The code of the error that ended a job; None while it has not ended."""
    last = JobStore(redis).events(job_id)[-1]
    return last.error["code"] if isinstance(last, Failed) else None


def test_a_wish_becomes_an_order_once(redis, orders, settings):
    assert orders.supervise("here")
    loads = ModelLoads(redis, settings())
    orders.request(MODEL, Target.LOADED, 1)
    loads.sweep()
    order = orders.of(MODEL)
    assert (order.target, order.why, orders.requested(MODEL)) == (Target.LOADED, Why.ASKED, None)
    loads.sweep()
    assert orders.of(MODEL) == order


def test_a_wish_that_came_meanwhile_stays(orders):
    orders.request(MODEL, Target.LOADED, 1)
    read_before = orders.requested(MODEL)
    orders.request(MODEL, Target.UNLOADED, 2)
    orders.give(Order(MODEL, Target.LOADED, Why.ASKED, 1), read_before)
    assert orders.requested(MODEL).target is Target.UNLOADED
    orders.settle(orders.requested(MODEL))
    assert orders.requested(MODEL) is None


def test_requests_that_wait_load_their_model(redis, orders, settings, submit):
    submit("chatcmpl-1")
    orders.supervise("here")
    ModelLoads(redis, settings()).sweep()
    assert orders.of(MODEL) is None
    assert redis.zscore(keys.DEMANDS, MODEL) > 0  # the next keeper knows since when
    ModelLoads(redis, settings(INFERENCE_LOAD_ON_DEMAND="true")).sweep()
    assert orders.of(MODEL).why is Why.DEMAND
    assert redis.zscore(keys.DEMANDS, MODEL) is None


def test_use_is_noted_and_idle_models_leave(redis, orders, settings, worker, submit):
    worker(status=WorkerStatus.LOADED, memory_bytes=7)
    loads = ModelLoads(redis, settings(INFERENCE_IDLE_UNLOAD_S="0.001"))
    step = submit("chatcmpl-1")
    loads.sweep()
    assert (int(redis.hget(keys.MEASURED, MODEL)), orders.of(MODEL)) == (7, None)
    assert redis.hget(keys.USED, MODEL) is None
    Leases(redis, "w0").take(step)
    assert int(redis.hget(keys.USED, MODEL)) > 0
    loads.sweep()
    assert orders.of(MODEL) is None
    JobStore(redis).cancel("chatcmpl-1", "enough")
    wait_for(lambda: (loads.sweep(), orders.of(MODEL))[1])
    assert (orders.of(MODEL).target, orders.of(MODEL).why) == (Target.UNLOADED, Why.IDLE)


def test_what_waits_for_a_model_that_cannot_be_loaded_is_told(
    redis, orders, settings, worker, submit
):
    submit("chatcmpl-1")
    submit("chatcmpl-2", asynchronous=True)
    presence = worker()
    presence.failed(ModelLoadFailed("no GGUF"))
    wait_for(lambda: (ModelLoads(redis, settings()).sweep(), orders.of(MODEL))[1])
    assert orders.of(MODEL).error["message"] == "no GGUF"
    assert [ended(redis, f"chatcmpl-{n}") for n in (1, 2)] == ["MODEL_LOAD_FAILED"] * 2
    assert redis.zcard(keys.waiting(MODEL)) == 0


def test_only_open_requests_fail_when_their_model_was_unloaded(redis, orders, settings, submit):
    submit("chatcmpl-1")
    submit("chatcmpl-2", asynchronous=True)
    orders.give(Order(MODEL, Target.UNLOADED, Why.ASKED, 1))
    ModelLoads(redis, settings()).sweep()
    assert (ended(redis, "chatcmpl-1"), ended(redis, "chatcmpl-2")) == ("NO_WORKER", None)


def test_a_member_whose_model_was_unloaded_is_not_waited_for(redis, celery, orders, settings):
    job = Job("chatcmpl-1", MODEL, (Message("user", "x"),), created=1)
    steps = tuple(Step(f"member-{at}", "member", m) for at, m in enumerate((MODEL, "other"), 1))
    jobs = JobStore(redis)
    jobs.store(job, dispatch.plan(celery, job, 1, Round(steps, Patience(1, 60, 60))), Terms(4))
    orders.give(Order(MODEL, Target.UNLOADED, Why.ASKED, 1))
    ModelLoads(redis, settings()).sweep()
    gone, other = jobs.record(job.id).steps
    assert gone.outcome.error["code"] == "NO_WORKER"
    assert other.outcome is None
    assert ended(redis, job.id) is None
    assert redis.zcard(keys.waiting(MODEL)) == 0
    assert redis.zcard(keys.RESEND) == 0  # the other one may yet answer


def test_the_last_member_whose_model_was_unloaded_lets_the_round_end(
    redis, celery, orders, settings
):
    job = Job("chatcmpl-1", MODEL, (Message("user", "x"),), created=1)
    round_ = Round((Step("member-1", "member", MODEL),), Patience(1, 60, 60))
    JobStore(redis).store(job, dispatch.plan(celery, job, 1, round_), Terms(4))
    orders.give(Order(MODEL, Target.UNLOADED, Why.ASKED, 1))
    ModelLoads(redis, settings()).sweep()
    assert redis.zrange(keys.RESEND, 0, -1) == [b"chatcmpl-1|advance-1"]


@pytest.fixture
def kept(redis, settings, orders):
    """A keeper with this one duty."""
    orders.supervise("here")
    keeper = Keeper(redis, [ModelLoads(redis, settings())])
    keeper.start()
    wait_for(lambda: redis.exists(keys.KEEPER))
    yield keeper
    keeper.stop()


def test_nobody_there_who_would_load(redis, orders):
    with pytest.raises(NoWorker, match="worker --orchestration"):
        Loader(redis, 5).load(SPEC, wait=True)
    redis.set(keys.KEEPER, "k")
    with pytest.raises(NoWorker, match=f"inference-service worker {MODEL}"):
        Loader(redis, 5).load(SPEC, wait=True)
    assert Loader(redis, 5).unload(SPEC, wait=True).state is State.AVAILABLE


def test_a_load_that_takes_longer_than_a_request_may(redis, kept):
    answer = Loader(redis, timeout_s=2.5).load(SPEC, wait=True)
    assert answer.state is State.LOADING
    assert Orders(redis).of(MODEL).target is Target.LOADED


def test_a_load_and_an_unload_that_cross(redis, kept, orders):
    """The last word counts, and the first caller is told of it."""
    messages = []

    def load():
        try:
            Loader(redis, 30).load(SPEC, wait=True)
        except ModelBusy as error:
            messages.append(error.message)

    asking = threading.Thread(target=load)
    asking.start()
    wait_for(lambda: (order := orders.of(MODEL)) and order.target is Target.LOADED)
    assert Loader(redis, 30).unload(SPEC, wait=True).state is State.AVAILABLE
    asking.join(10)
    assert "unloaded again meanwhile" in messages[0]


def test_a_worker_sees_the_order_to_unload(redis, orders, worker):
    ends = []
    ear = OrderWatcher(redis, MODEL, worker(), ends.append)
    assert ear.await_load(threading.Event(), was_unloaded=False)
    ear.start()
    orders.give(Order(MODEL, Target.LOADED, Why.ASKED, 1))
    orders.give(Order(MODEL, Target.UNLOADED, Why.SWAP, 1, grace_s=7))
    wait_for(lambda: ends == [7])
    assert ear.leaves
    assert (ear.grace_s(30), ear.grace_s(30)) == (7, 30)  # the second signal is another's


def test_what_failed_is_tried_again_by_a_new_order_only(redis, orders, worker):
    first = Order(MODEL, Target.LOADED, Why.ASKED, 1)
    orders.give(first)
    presence = worker()
    ear = OrderWatcher(redis, MODEL, presence, pytest.fail)
    assert ear.await_load(threading.Event(), was_unloaded=True)
    assert presence.worker.order == first.id
    presence.failed(ModelLoadFailed("no GGUF"))
    assert not ear._is_to_leave(first)
    assert ear._is_to_leave(Order(MODEL, Target.LOADED, Why.ASKED, 2))


def test_a_worker_of_a_model_that_was_unloaded_asks_for_it_and_waits(redis, orders, worker):
    orders.give(Order(MODEL, Target.UNLOADED, Why.ASKED, 1))
    presence, may_load = worker(), []
    waiting = threading.Thread(
        target=lambda: may_load.append(
            OrderWatcher(redis, MODEL, presence, pytest.fail).await_load(
                threading.Event(), was_unloaded=False
            )
        )
    )
    waiting.start()
    wait_for(lambda: (asked := orders.requested(MODEL)) and asked.target is Target.LOADED)
    wait_for(lambda: presence.worker.status is WorkerStatus.UNLOADED)
    orders.give(Order(MODEL, Target.LOADED, Why.ASKED, 1))
    waiting.join(5)
    assert may_load == [True]


def test_a_supervised_worker_of_such_a_model_ends(redis, orders, worker, monkeypatch):
    orders.give(Order(MODEL, Target.UNLOADED, Why.ASKED, 1))
    monkeypatch.setenv(SUPERVISOR, "1")
    ear = OrderWatcher(redis, MODEL, worker(), pytest.fail)
    assert not ear.await_load(threading.Event(), was_unloaded=False)
    assert orders.requested(MODEL) is None


class Started:
    """A supervisor that starts nothing."""

    def __init__(self):
        self.children = []

    def start(self, child):
        self.children.append(child)
        return child


def test_up_starts_what_is_ordered_and_has_no_worker(redis, orders, settings, worker, monkeypatch):
    monkeypatch.setattr(model_workers, "LOOK_S", 0.0)
    orders.give(Order("smollm2-135m-b", Target.LOADED, Why.ASKED, 1))
    first, second_starter = Started(), Started()
    models = ModelWorkers(redis, settings(), first, lambda _line: None)
    models.begin(["smollm2-135m-c"], force=False)
    assert orders.all() == {}  # a new life
    second = ModelWorkers(redis, settings(), second_starter, lambda _line: None)
    second._name = "elsewhere:1"
    second.begin([], force=False)
    orders.give(Order("smollm2-135m-b", Target.LOADED, Why.DEMAND, 1))
    orders.give(Order(MODEL, Target.LOADED, Why.DEMAND, 1))  # somebody else started that one
    worker(status=WorkerStatus.LOADED)
    for _ in range(2):
        models.look()
        second.look()
    assert [child.name for child in first.children] == [
        "worker-smollm2-135m-c",
        "worker-smollm2-135m-b",
    ]
    assert second_starter.children == []
    models.end()
    second.look()
    assert [child.name for child in second_starter.children] == ["worker-smollm2-135m-b"]


@pytest.mark.parametrize("shared", [True, False])
def test_an_up_that_died_a_moment_ago_on_a_redis_of_its_own(redis, orders, settings, shared):
    orders.supervise("elsewhere:1")
    orders.give(Order(MODEL, Target.UNLOADED, Why.ASKED, 1))
    own = settings() if shared else dataclasses.replace(settings(), redis_url=None)
    ModelWorkers(redis, own, Started(), lambda _line: None).begin([MODEL], force=False)
    assert (MODEL in orders.all()) == shared
