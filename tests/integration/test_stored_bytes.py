"""What is kept of a job, for how long, and what it counts for its API key; on a real server."""

import itertools
import json
import random

import pytest

from orchestration import handoff
from orchestration.rounds import handoff_store
from tests.support.valkey import everything
from web.live.hub import Hub
from web.render.job_events import live_events
from workers.caches.cache import Cache, CacheSize
from workers.caches.handoffs import HANDOFFS, Handoffs
from workers.contract import keys
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.errors import JobPoisoned
from workers.contract.events import Cancelled, Completed, StepFinished, Token
from workers.contract.job import Job, JobState, Message, TemplateOptions
from workers.contract.sampling import Sampling
from workers.contract.step import ANSWER, Assignment, Outcome, StepRequest, Timings, Usage
from workers.contract.tools import Tool, Tools
from workers.engines.prompt_store import prompt_directory
from workers.engines.prompt_store.prompt_directory import PromptDirectory
from workers.keeper.job_index import JobIndex
from workers.keeper.prompt_files import PromptFiles
from workers.runtime.deletions import Deletions
from workers.settings import read
from workers.store import dead_letters, stored_bytes, webhook_attempts
from workers.store.admission import Idempotency, OverShare, Stored, Terms
from workers.store.leases import Leases
from workers.store.planned import PlannedStep
from workers.store.token_log import Entry, append
from workers.store.webhook_attempts import Attempt

MODEL, OWNER, OTHER = "m", "key-a", "key-b"
CANARY = "the canary"
DECIDES = "advance-1"
_numbers = itertools.count(1)


def job(owner=OWNER, text="hi", **fields):
    fields = {"asynchronous": True, **fields}
    return Job(
        f"chatcmpl-{next(_numbers)}", MODEL, (Message("user", text),), 1, owner=owner, **fields
    )


@pytest.fixture
def store(jobs):
    def store(made, steps=None, **terms):
        return jobs.store(made, steps or [PlannedStep(request(made), {"a": 1})], Terms(4, **terms))

    return store


@pytest.fixture
def index(redis):
    def index(**environ):
        return JobIndex(redis, read(environ, env_file=None))

    return index


def request(made, step=ANSWER):
    return StepRequest(made.id, step, MODEL, ends_job=step == ANSWER)


def outcome(step=ANSWER):
    return Outcome(step, MODEL, 1, "stop", Usage(1, 1), Timings(), 100)


def complete(redis, made, text="an answer", step=ANSWER):
    """Run a job's only step to its end."""
    lease = Leases(redis, "w").take(request(made, step))
    entries = [
        Entry(made.id, Token(0, step, lease.attempt, (1,), text), step, lease.attempt, 1),
        Entry(
            made.id,
            Completed(0, outcome()),
            step,
            lease.attempt,
            2,
            ends_as=JobState.COMPLETED,
            outcome=outcome(),
        ),
    ]
    assert append(redis, entries) != [0, 0]


def cancel(redis, made):
    return append(redis, [Entry(made.id, Cancelled(0, "asked"), ends_as=JobState.CANCELLED)])


def measured(redis, job_id):
    """What a job counts, read from what is there."""
    record = redis.hgetall(keys.job(job_id))
    fields = ["job", "ended_job"]
    for step in record[b"steps"].decode().split():
        fields += [f"{step}:{part}" for part in ("signature", "assignment", "text", "outcome")]
    texts = [record.get(field.encode(), b"") for field in fields]
    texts += [entry[b"e"] for _, entry in redis.xrange(keys.events(job_id))]
    return stored_bytes.JOB_BYTES + sum(len(text) for text in texts)


def of_mode(made):
    """Steps as an orchestration mode plans them: one, and one that decides."""
    assignment = Assignment((Message("user", f"{CANARY} again"),), Sampling())
    first = PlannedStep(request(made, "draft"), {"b": 2}, assignment, then=DECIDES)
    return [first, PlannedStep(request(made, DECIDES), {"c": 3}, follows=1)]


def test_a_request_goes_when_its_job_ends(store, redis, jobs):
    made = job(
        text=CANARY,
        sampling=Sampling(
            max_tokens=7,
            seed=2**63 - 1,
            stop=(CANARY,),
            constraint=Constraint(ConstraintKind.JSON_SCHEMA, {"title": CANARY}),
        ),
        template=TemplateOptions({"note": CANARY}),
        tools=Tools((Tool("f", CANARY, {"title": CANARY}),), as_functions=True),
        webhook="https://hook.example",
    )
    store(made, of_mode(made))
    redis.set(keys.handoff(made.id, 1), CANARY)
    lease = Leases(redis, "w").take(request(made, "draft"))
    assert lease.assignment.messages[0].content == f"{CANARY} again"
    ended = StepFinished(0, outcome("draft"))
    append(redis, [Entry(made.id, ended, "draft", 1, 1, outcome=outcome("draft"), text=CANARY)])
    assert CANARY in everything(redis)
    decides = Leases(redis, "o").take(request(made, DECIDES))
    assert jobs.record(made.id).steps[0].text == CANARY
    done = Completed(0, outcome())
    entry = Entry(made.id, done, DECIDES, decides.attempt, 1, ends_as=JobState.COMPLETED)
    append(redis, [entry])
    assert CANARY not in everything(redis)
    record = jobs.record(made.id)
    assert (record.job.messages, record.job.model, record.job.owner) == ((), MODEL, OWNER)
    assert (record.job.sampling.max_tokens, record.job.sampling.seed) == (7, 2**63 - 1)
    assert record.job.tools == Tools((), as_functions=True)
    assert record.job.webhook == "https://hook.example"
    assert [step.outcome.finish_reason for step in record.steps if step.outcome]
    assert json.loads(redis.hget(keys.job(made.id), "job"))["messages"] == []


def test_a_handoff_is_kept_for_an_hour_and_not_after_the_jobs_end(store, redis):
    made = job(text=CANARY)
    store(made, of_mode(made))
    state = handoff.begin(made, 2)
    handoffs = Handoffs(Cache(HANDOFFS, redis))
    handoff_store.save(handoffs, state, 1)
    assert handoff_store.load(handoffs, made.id, 1) == state
    assert 3590 < redis.ttl(keys.handoff(made.id, 1)) <= keys.HANDOFF_TTL_S
    assert handoff_store.load(handoffs, made.id, 2) is None
    cache = Cache(HANDOFFS, redis)
    assert cache.size().entries == 1
    cancel(redis, made)
    handoff_store.save(handoffs, state, 1)
    assert handoff_store.load(handoffs, made.id, 1) is None
    assert cache.size() == CacheSize(0, 0)


def test_a_dead_letter_keeps_its_request_until_it_is_dropped(store, redis, jobs):
    made = job(text=CANARY)
    store(made)
    dead_letters.add(redis, made.id, JobPoisoned())
    assert jobs.record(made.id).job.messages[0].content == CANARY
    jobs.drop_dead_letter(made.id)
    assert jobs.record(made.id).job.messages == ()
    assert CANARY not in everything(redis)
    assert redis.hget(keys.stored(OWNER), made.id) == str(measured(redis, made.id)).encode()


@pytest.mark.parametrize("owner", [OWNER, None])
def test_a_deleted_job_leaves_nothing(store, redis, jobs, owner):
    kept, made = job(owner=owner), job(owner=owner, text=CANARY, webhook="https://hook.example")
    store(kept)
    before = {name for name in redis.scan_iter() if redis.type(name) != b"hash"}
    listed = redis.zrange(keys.jobs(owner), 0, -1)
    store(made, idempotency=Idempotency("jobs::k", "ab"))
    assert not jobs.delete(made.id)
    complete(redis, made)
    webhook_attempts.add(redis, made.id, Attempt(1, 1.0, 500))
    assert jobs.delete(made.id)
    assert not jobs.delete(made.id)
    # For a day its id is left, by which workers forget what their engines keep of it.
    assert redis.zrem(keys.DELETED, made.id)
    left = {name for name in redis.scan_iter() if made.id.encode() in name}
    assert left == set()
    assert redis.zrange(keys.jobs(owner), 0, -1) == listed
    after = {name for name in redis.scan_iter() if redis.type(name) != b"hash"}
    assert after - before == {keys.pace(MODEL).encode()}
    assert made.id not in everything(redis)
    assert redis.zscore(keys.WEBHOOKS, made.id) is None
    assert stored_bytes.by_owner(redis) == (
        {} if owner is None else {owner: measured(redis, kept.id)}
    )
    assert isinstance(store(job(owner=owner), idempotency=Idempotency("jobs::k", "cd")), Stored)


def test_workers_learn_once_of_each_job_that_was_deleted(store, redis, jobs):
    forgotten = []

    class Engine:
        def forget_job(self, job_id):
            forgotten.append(job_id)

    deletions = Deletions(redis, Engine())
    deletions.look()
    made = [job() for _ in range(3)]
    for each in made:
        store(each)
        complete(redis, each)
    for each in made[:2]:
        jobs.delete(each.id)
    deletions.look()
    jobs.delete(made[2].id)
    deletions.look()
    deletions.look()
    assert sorted(forgotten[:2]) == sorted(each.id for each in made[:2])
    assert forgotten[2:] == [made[2].id]
    assert 0 < redis.ttl(keys.DELETED) <= keys.DELETED_TTL_S


def test_the_keeper_removes_what_deleted_jobs_left_on_disk(store, redis, jobs, tmp_path):
    """Whether or not a worker of their model lives; and those that were deleted before it."""
    made = [job() for _ in range(3)]
    folder = tmp_path / ("a" * 64)
    folder.mkdir()
    files = [folder / prompt_directory.file_name(each.id, b"ids") for each in made]
    for each, file in zip(made, files, strict=True):
        file.write_bytes(b"a state")
        store(each)
        complete(redis, each)
    jobs.delete(made[0].id)
    duty = PromptFiles(redis, PromptDirectory(tmp_path))
    duty.begin()
    duty.sweep()
    assert [file.exists() for file in files] == [False, True, True]
    jobs.delete(made[1].id)
    duty._next_look = 0
    duty.sweep()
    assert [file.exists() for file in files] == [False, False, True]


def test_a_reader_of_a_job_that_is_deleted_is_left_waiting_for_nothing(store, redis, jobs):
    made = job()
    store(made)
    reader = Hub(redis).register(made.id)
    events = live_events(reader)
    assert [event.type for event in next(events)] == ["queued"]
    complete(redis, made)
    jobs.delete(made.id)
    assert list(events) == []
    assert reader.gone


def test_an_idempotency_key_lives_as_long_as_its_job(store, redis):
    made = job()
    store(made, keep_s=100, idempotency=Idempotency("jobs::k", "ab"))
    complete(redis, made)
    assert 0 < redis.ttl(keys.idempotency("jobs::k")) <= 100


def test_counts_never_drift(store, redis, jobs, index):
    """Whatever happens to jobs, in whatever order, what is counted is what is there."""
    chance = random.Random(20_261_126)
    alive, steps, duty = [], {}, index()

    def begin():
        owner = chance.choice([OWNER, OTHER, None])
        made = job(owner, "x" * chance.randrange(3000), asynchronous=chance.random() < 0.7)
        planned = of_mode(made) if chance.random() < 0.3 else [PlannedStep(request(made), {})]
        store(made, planned)
        steps[made.id] = [step.request.step for step in planned]
        alive.append(made)

    def write():
        made = chance.choice(alive)
        step = chance.choice(steps[made.id])
        lease = Leases(redis, "w").take(request(made, step))
        attempt = getattr(lease, "attempt", 1)
        entries = [
            Entry(
                made.id, Token(0, step, attempt, (n,), "y" * chance.randrange(50)), step, attempt, n
            )
            for n in range(1, chance.randrange(2, 6))
        ]
        append(redis, [*entries, *entries[-1:]])  # one comes twice
        if step == "draft":
            ended = StepFinished(0, outcome(step))
            append(
                redis, [Entry(made.id, ended, step, attempt, 9, outcome=outcome(step), text="z")]
            )

    def end():
        made = chance.choice(alive)
        chance.choice(
            [
                lambda: cancel(redis, made),
                lambda: dead_letters.add(redis, made.id, JobPoisoned()),
                lambda: jobs.drop_dead_letter(made.id),
                lambda: jobs.delete(made.id),
            ]
        )()

    def expire():
        made = alive.pop(chance.randrange(len(alive)))
        redis.delete(keys.job(made.id), keys.events(made.id))  # as their time would

    for _ in range(600):
        chance.choice([begin, begin, write, write, end, expire] if len(alive) > 3 else [begin])()
    duty.sweep()
    kept = [made for made in alive if redis.exists(keys.job(made.id))]
    assert len(kept) > 20
    for owner in (OWNER, OTHER):
        own = [made for made in kept if made.owner == owner]
        by_job = {made.id.encode(): str(measured(redis, made.id)).encode() for made in own}
        assert redis.hgetall(keys.stored(owner)) == by_job
        assert stored_bytes.by_owner(redis)[owner] == sum(map(int, by_job.values()))
        listed = {raw.decode() for raw in redis.zrange(keys.jobs(owner), 0, -1)}
        assert listed == {made.id for made in own if made.asynchronous}
    for made in kept:
        cancel(redis, made)
        jobs.delete(made.id)
    assert stored_bytes.by_owner(redis) == {}


def test_a_count_that_is_wrong_mends_itself(store, redis, index):
    made = job()
    store(made)
    redis.hset(keys.STORED, OWNER, 5)
    index().sweep()
    assert stored_bytes.by_owner(redis) == {OWNER: measured(redis, made.id)}


def test_a_key_over_its_share_loses_its_own_oldest_results_first(store, redis, jobs):
    strangers = job(OTHER, "x" * 50_000)
    store(strangers)
    complete(redis, strangers)
    running, dead, first, second = (job() for _ in range(4))
    for made in (running, dead, first, second):
        store(made)
    dead_letters.add(redis, dead.id, JobPoisoned())
    for made in (first, second):
        complete(redis, made, "y" * 10_000)
    limit = stored_bytes.by_owner(redis)[OWNER]
    next_ = job()
    refused = store(next_, stored_limit=limit)
    assert refused == OverShare(limit, refused.own)
    assert jobs.record(next_.id) is None
    room = limit - refused.own
    assert jobs.make_room(OWNER, room) <= room
    assert [jobs.record(made.id) is None for made in (first, second)] == [True, False]
    assert isinstance(store(next_, stored_limit=limit), Stored)
    assert jobs.make_room(OWNER, 0) > 0
    left = [made.id for made in (running, dead, next_)]
    assert [raw.decode() for raw in redis.zrange(keys.jobs(OWNER), 0, -1)] == left
    assert jobs.record(strangers.id) is not None


def test_the_keeper_holds_keys_to_their_bytes(store, redis, jobs, index):
    made, strangers = [job() for _ in range(5)], job(OTHER)
    for each in (*made, strangers):
        store(each)
        complete(redis, each, "y" * 300_000)
    index(INFERENCE_MAX_STORED_MB_PER_KEY="1").sweep()
    assert [jobs.record(each.id) is None for each in made] == [True, True, False, False, False]
    assert jobs.record(strangers.id) is not None


def test_a_share_is_one_of_the_servers_memory(redis):
    memory = stored_bytes.RedisMemory
    settings = read({"INFERENCE_MAX_KEY_SHARE": "0.25"}, env_file=None)
    assert stored_bytes.limit(settings, memory(redis)) is None
    redis.config_set("maxmemory", 400_000_000)
    try:
        assert stored_bytes.limit(settings, memory(redis)) == 100_000_000
        settings = read({"INFERENCE_MAX_STORED_MB_PER_KEY": "3"}, env_file=None)
        assert stored_bytes.limit(settings, memory(redis)) == 3_000_000
    finally:
        redis.config_set("maxmemory", 0)


def test_jobs_whose_time_is_over_leave_the_index(store, redis, jobs, index):
    """300 of them stayed there for ever; lists of the version before are known by their names."""
    for owner in (OWNER, None):
        for _ in range(300):
            store(job(owner))
    redis.zadd(keys.jobs("env-1"), {"chatcmpl-of-before": 1})
    redis.delete(*(name for name in redis.scan_iter(f"{keys.PREFIX}job:*")))
    last = job()
    store(last)
    duty = index()
    for _ in range(10):
        duty.begin()
        duty.sweep()
    assert [name.decode() for name in redis.scan_iter(f"{keys.jobs('')}*")] == [keys.jobs(OWNER)]
    assert jobs.listed(OWNER)[0].id == last.id
    assert redis.zcard(keys.jobs(OWNER)) == 1
    assert redis.smembers(keys.OWNERS) == {OWNER.encode()}
    assert stored_bytes.by_owner(redis) == {OWNER: measured(redis, last.id)}


def test_a_request_that_a_worker_of_before_left_goes(store, redis, index):
    made = job(text=CANARY)
    store(made)
    redis.hset(keys.job(made.id), mapping={"terminal": 2, "state": "completed", "ended_ms": 1})
    index().sweep()
    assert CANARY not in everything(redis)
