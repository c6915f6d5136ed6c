"""What a worker's model has made of texts is not made again; on a real server."""

import dataclasses
import random
import threading

import pytest

from presets.model import ModelSpec
from tests.support.waiting import wait_for
from workers.caches import cache as cache_module
from workers.caches.cache import Cache
from workers.caches.compressions import COMPRESSIONS, Compressions
from workers.contract.events import StepFinished
from workers.contract.job import Job, Message
from workers.contract.sampling import Sampling
from workers.contract.step import Assignment, StepRequest, Timings, Usage
from workers.engines.base import Delta
from workers.runtime import generation
from workers.runtime.hashed_model import HashedModel
from workers.store.admission import Terms
from workers.store.leases import Leases
from workers.store.planned import PlannedStep
from workers.store.token_log import TokenLog, read_events

MODEL = "m"
ASSIGNMENT = Assignment(
    (Message("user", "Shorten this text to 20 words."),), Sampling(temperature=0.0), reusable=True
)


class Counts:
    """An engine that says how often it was asked."""

    context_length, memory_bytes = 8192, 0

    def __init__(self):
        self.asked = 0
        self.finish_reason = "stop"

    def generate(self, request, cancelled):
        self.asked += 1
        yield Delta(f"short {self.asked}", (1, 2))
        usage = Usage(5, 2)
        yield Delta(finish_reason=self.finish_reason, usage=usage, timings=Timings())


class Runs:
    """Runs a step as a worker does, and tells what it said."""

    def __init__(self, redis, jobs):
        self.redis, self.jobs = redis, jobs
        self.engine, self.hash = Counts(), "aa"
        self.leases, self.token_log = Leases(redis, "w"), TokenLog(redis)
        self.token_log.start()
        self.number = 0

    def __call__(self, assignment=ASSIGNMENT, owner=None):
        self.number += 1
        request = StepRequest(f"chatcmpl-{self.number}", "compress-draft", MODEL, ends_job=False)
        job = Job(request.job_id, MODEL, (Message("user", "hi"),), 1, owner=owner)
        follows = StepRequest(job.id, "advance-1", "@orchestration", ends_job=False)
        planned = [
            PlannedStep(request, {"a": 1}, assignment, then=follows.step),
            PlannedStep(follows, {"b": 1}, follows=1),
        ]
        self.jobs.store(job, planned, Terms(4))
        cache = Cache(COMPRESSIONS, self.redis, most_bytes=1_000_000)
        runner = generation.StepRunner(
            self.engine,
            self.leases,
            self.token_log,
            compressions=Compressions(cache, MODEL, lambda: self.hash),
        )
        assert generation.run(request, runner)
        (ended,) = (
            each for each in read_events(self.redis, job.id) if isinstance(each, StepFinished)
        )
        assert ended.outcome.finish_reason == self.engine.finish_reason
        self.outcome = ended.outcome
        return self.jobs.record(job.id).steps[0].text


@pytest.fixture
def runs(redis, jobs):
    made = Runs(redis, jobs)
    yield made
    made.token_log.stop()


def test_the_same_text_to_the_same_target_is_shortened_once(runs):
    assert [runs(), runs()] == ["short 1", "short 1"]
    assert runs.engine.asked == 1
    assert runs.outcome.usage == Usage(0, 0)  # nothing was decoded for it


@pytest.mark.parametrize(
    "other",
    [
        {"messages": (Message("user", "Shorten this text to 21 words."),)},
        {"messages": (Message("user", "Shorten that text to 20 words."),)},
        {"sampling": Sampling(temperature=0.0, max_tokens=7)},
    ],
)
def test_another_text_or_target_is_another_entry(runs, other):
    runs()
    assert runs(dataclasses.replace(ASSIGNMENT, **other)) == "short 2"


def test_another_file_of_the_model_makes_it_anew(runs):
    runs()
    runs.hash = "bb"
    assert runs() == "short 2"
    runs.hash = None  # it is not known yet
    assert runs() == "short 3"
    runs.hash = "aa"
    assert runs() == "short 1"


def test_what_one_key_has_sent_is_none_of_anothers(runs):
    assert runs(owner="key-a") == "short 1"
    assert runs(owner="key-b") == "short 2"
    assert runs(owner="key-a") == "short 1"


@pytest.mark.parametrize(
    "assignment",
    [
        dataclasses.replace(ASSIGNMENT, reusable=False),
        dataclasses.replace(ASSIGNMENT, sampling=Sampling(temperature=0.3)),
    ],
)
def test_only_what_may_be_reused_is_kept(runs, assignment, redis):
    assert [runs(assignment), runs(assignment)] == ["short 1", "short 2"]
    assert Cache(COMPRESSIONS, redis, most_bytes=1).size().entries == 0


def test_what_was_cut_off_is_not_kept(runs):
    runs.engine.finish_reason = "length"
    assert [runs(), runs()] == ["short 1", "short 2"]


def test_a_broken_entry_is_made_anew(runs, redis):
    runs()
    (name,) = redis.scan_iter("inference:cached:compressions:*")
    for broken in (redis.get(name)[:-2], b"", b"x" * 100):
        redis.set(name, broken)
        before = runs.engine.asked
        assert runs() == f"short {before + 1}"


def test_a_worker_learns_the_hash_of_what_it_has_loaded(tmp_path):
    file = tmp_path / "w.gguf"
    file.write_bytes(b"GGUF")
    spec = ModelSpec(MODEL, file, 100, backend="llamacpp")
    found = threading.Event()
    hashed = HashedModel(spec, tmp_path, lambda _: found.set())
    assert hashed.value is None
    hashed.start()
    assert found.wait(30)
    assert len(hashed.value) == 64


def test_a_file_that_was_replaced_while_it_was_loaded_has_no_hash(tmp_path, caplog):
    file = tmp_path / "w.gguf"
    file.write_bytes(b"GGUF")
    hashed = HashedModel(ModelSpec(MODEL, file, 100, backend="llamacpp"), tmp_path, None)
    file.write_bytes(b"GGUF of another model")
    hashed.start()
    assert wait_for(lambda: "its files are others now" in caplog.text)
    assert hashed.value is None


def test_while_models_change_their_files_under_load_nothing_stale_is_found(redis, monkeypatch):
    """Workers load other files, the keeper and operators drop entries, all at the same time."""
    monkeypatch.setattr(cache_module, "FRESH_S", 0.01)
    stale, found = [], []

    def work(number):
        chance = random.Random(number)
        cache = Cache(COMPRESSIONS, redis, most_bytes=20_000)
        file = 0
        compressions = Compressions(cache, MODEL, lambda: f"hash of {file}")
        for _ in range(150):
            if chance.random() < 0.1:
                file = chance.randrange(4)  # files that were there before come back, too
            if chance.random() < 0.05:
                chance.choice([cache.clear, lambda: cache.invalidate_by_model(MODEL)])()
            text = chance.randrange(5)
            asked = dataclasses.replace(ASSIGNMENT, messages=(Message("user", f"text {text}"),))
            said = compressions.get(None, asked)
            if said is None:
                compressions.store(None, asked, f"{text} by file {file}")
                continue
            found.append(said)
            if said != f"{text} by file {file}":
                stale.append((said, file))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert stale == []
    assert len(found) > 50
