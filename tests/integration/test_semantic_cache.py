"""The semantic cache over HTTP, on a real server: a worker on a thread of this process answers, and
another one searches, with vectors that a test chooses.
"""

import json
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from orchestration.semantic import lookup
from tests.support.waiting import wait_for
from web.access import key_file
from web.app import create_app
from workers.caches.cache import Cache
from workers.caches.semantic import MOST_CANDIDATES, SEARCH, SEMANTIC, Entry
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.contract.errors import ContextBudgetExceeded
from workers.contract.step import StepRequest, Timings, Usage
from workers.engines.base import Delta
from workers.runtime import generation
from workers.runtime.calls.semantic_search import SemanticSearch
from workers.runtime.calls.server import ModelCallServer
from workers.settings import read
from workers.store.leases import Leases
from workers.store.token_log import TokenLog

MODEL, EMBEDS = "smollm2-135m", "embeds"
WITHIN_S, LONG_MS = 60, 600_000
MILES = "What is the height of the tower in miles?"
OTHER_WORDS = "Please tell me the height of the tower in miles!"


class Says:
    """An engine that says what it is, and how often it was asked."""

    context_length, memory_bytes = 8192, 0

    def __init__(self):
        self.name, self.asked, self.finish_reason = "answer", 0, "stop"

    def generate(self, request, cancelled):
        self.asked += 1
        yield Delta("", (1,), reasoning="Hm. ")
        yield Delta(f"{self.name} ", (2,))
        yield Delta(str(self.asked), (3,))
        usage = Usage(5, 3, reasoning_tokens=1)
        yield Delta(finish_reason=self.finish_reason, usage=usage, timings=Timings(decode_ms=9))


class Embeds:
    """An engine whose vectors are all alike, but of a text that says so."""

    dimensions = 3

    def embed(self, embedding, cancelled, priority):
        (text,) = embedding.inputs
        if "long" in text:
            raise ContextBudgetExceeded("too long")
        vector = [0, 1, 0] if "far" in text else [1, 0, 0]
        return SimpleNamespace(vectors=np.array([vector], dtype=np.float32))


class Service:
    """A worker that answers, one that searches, and front ends."""

    def __init__(self, redis, redis_socket, directory):
        self.redis, self._socket, self._directory = redis, redis_socket, directory
        self.engine, self.model_hash, self.says_hash = Says(), "aa", True
        self._ends = threading.Event()
        self.presence = Presence(redis, Worker("w", MODEL, pid=1, host="h", concurrency=4))
        self.presence.loaded(1, 8192)
        self.presence.hashed(self.model_hash)
        self.embeds = Presence(redis, Worker("e", EMBEDS, pid=1, host="h", concurrency=4))
        self.embeds.loaded(1, 64)
        self.embeds.hashed("ee")
        self.embeds.takes_calls([SEARCH])
        search = SemanticSearch(Embeds(), Cache(SEMANTIC, redis))
        self.server = ModelCallServer(redis, EMBEDS, {SEARCH: search})
        self._leases, self._token_log = Leases(redis, "w"), TokenLog(redis)
        self._worker = threading.Thread(target=self._work)
        self._apps = []

    def _work(self):
        while not self._ends.wait(0.005):
            in_memory = self.model_hash if self.says_hash else None
            runner = generation.StepRunner(
                self.engine, self._leases, self._token_log, model_hash=lambda of=in_memory: of
            )
            for raw in self.redis.zrange(keys.waiting(MODEL), 0, -1):
                job_id, step = keys.split_lease_member(raw.decode())
                generation.run(StepRequest(job_id, step, MODEL, ends_job=True), runner)

    def settings(self, **environ):
        environ = {
            "INFERENCE_DATA_DIR": str(self._directory),
            "INFERENCE_BACKEND": "scripted",
            "INFERENCE_REDIS_URL": f"unix://{self._socket}",
            "INFERENCE_SEMANTIC_CACHE": "true",
            "INFERENCE_SEMANTIC_CACHE_MODEL": EMBEDS,
            **environ,
        }
        return read(environ, env_file=None)

    def front_end(self, **environ):
        app = create_app(self.settings(**environ))
        self._apps.append(app)
        services = app.extensions["inference"]
        wait_for(lambda: services.directory.serving(MODEL) and services.directory.serving(EMBEDS))
        return app.test_client()

    def tell(self):
        """Both workers say what they do, once and for long: a busy machine may miss beats."""
        for each in (self.presence, self.embeds):
            each._beat(LONG_MS)

    def becomes(self, model_hash):
        """Another file is in memory, under the same id."""
        self.model_hash = model_hash
        self.presence.hashed(model_hash)
        self.tell()

    def restarts(self, model_hash):
        """The worker ends, and another process has another file in memory, whose answers say so."""
        self.redis.delete(keys.worker(self.presence.worker.id))
        self.engine, self.model_hash = Says(), model_hash
        self.engine.name = model_hash
        self.presence = Presence(self.redis, Worker(f"w-{model_hash}", MODEL, 1, "h", 4))
        self.presence.loaded(1, 8192)
        self.presence.hashed(model_hash)
        self.tell()

    def __enter__(self):
        self.tell()
        for started in (
            self.server, self._leases, self._token_log, self._worker,
        ):  # fmt: skip
            started.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._worker.join(WITHIN_S)
        for stopped in (
            self.server, self._token_log, self._leases,
        ):  # fmt: skip
            stopped.stop()
        for app in self._apps:
            services = app.extensions["inference"]
            for thread in (services.hub, services.disconnects, services.reporter):
                thread.stop()


@pytest.fixture
def patient(monkeypatch):
    """A lookup may take long: this machine has much else to do."""
    monkeypatch.setattr(lookup, "MOST_S", 20.0)


@pytest.fixture
def service(redis, redis_socket, tmp_path, patient):
    with Service(redis, redis_socket, tmp_path) as service:
        yield service


@pytest.fixture
def client(service):
    return service.front_end()


def ask(client, question=MILES, headers=None, **options):
    body = {"model": MODEL, "messages": [{"role": "user", "content": question}], "temperature": 0}
    answer = client.post("/v1/chat/completions", json={**body, **options}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def content(answer):
    return answer.json["choices"][0]["message"]["content"]


def entries(service):
    return Cache(SEMANTIC, service.redis).size().entries


def test_a_question_in_other_words_gets_the_answer_that_was_made(service, client):
    first = ask(client)
    assert (first.headers["X-Cache"], content(first)) == ("miss", "answer 1")
    assert first.json["inference_metadata"]["cache"] == {"hit": False}
    found = ask(client, OTHER_WORDS)
    assert (found.headers["X-Cache"], content(found)) == ("hit", "answer 1")
    assert found.json["choices"][0]["message"]["reasoning_content"] == "Hm. "
    cache = found.json["inference_metadata"]["cache"]
    assert {**cache, "age_s": 0} == {"hit": True, "similarity": 1, "age_s": 0, "question": MILES}
    assert 0 <= cache["age_s"] < WITHIN_S
    assert found.json["usage"] == {**first.json["usage"], "cached": True}
    assert found.json["usage"]["completion_tokens"] == 3
    assert found.json["id"] != first.json["id"]
    assert client.get(f"/v1/jobs/{found.json['id']}").status_code == 404
    assert service.engine.asked == 1


def test_a_hit_is_a_stream_where_one_is_asked_for(service, client):
    answers = []
    for question in (MILES, OTHER_WORDS):
        answer = ask(client, question, stream=True, stream_options={"include_usage": True})
        lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        assert lines.pop() == "[DONE]"
        answers.append((answer.headers["X-Cache"], [json.loads(line) for line in lines]))
    (first, told), (second, again) = answers
    assert (first, second) == ("miss", "hit")

    def deltas(frames):
        return [choice["delta"] for frame in frames for choice in frame["choices"]]

    assert deltas(again)[0] == {"role": "assistant", "content": ""} or "role" in deltas(again)[0]
    assert "".join(delta.get("content") or "" for delta in deltas(again)) == "answer 1"
    assert deltas(again) == deltas(told)
    assert again[-1]["usage"] == {**told[-1]["usage"], "cached": True}
    assert again[-2]["inference_metadata"]["cache"]["hit"]
    assert ask(client, OTHER_WORDS).headers["X-Cache"] == "hit"
    assert service.engine.asked == 1


def test_another_question_is_answered_anew(service, client):
    """Their vectors are alike, but of the last one: then that says no."""
    ask(client)
    for asked, other in enumerate(
        (
            "What is the height of the tower in km?",
            "What is the height of the bridge in miles?",
            "What is not the height of the tower in miles?",
            "What is the height of the 2nd tower in miles?",
            "What is the far height of the tower in miles?",
        ),
        start=2,
    ):
        answer = ask(client, other)
        assert (answer.headers["X-Cache"], content(answer)) == ("miss", f"answer {asked}"), other


def test_what_shapes_the_answer_is_asked_anew(client):
    ask(client)
    brief = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": MILES}]
    for options in (
        {"max_tokens": 5},
        {"user": "ann"},
        {"seed": 1},
        {"stop": ["x"]},
        {"messages": brief},
    ):
        assert ask(client, **options).headers["X-Cache"] == "miss", options
        assert ask(client, **options).headers["X-Cache"] == "hit", options


def test_what_is_skipped_is_neither_found_nor_kept(service, client):
    ask(client)
    for question, options, headers, reason in (
        (MILES, {"temperature": 1}, {}, "temperature"),
        (MILES, {"cache": "no-store"}, {}, "no_store"),
        (MILES, {}, {"Cache-Control": "max-age=0, No-Store"}, "no_store"),
        (MILES, {"cache": {"user_specific": True}}, {}, "user_specific"),
        (MILES, {"cache": {"time_sensitive": True}}, {}, "time_sensitive"),
        (MILES, {}, {"Idempotency-Key": "k"}, "idempotency_key"),
        ("Hello!", {}, {}, "no_subject"),
        ("a long text", {}, {}, "long_question"),
    ):
        answer = ask(client, question, headers=headers, **options)
        assert answer.headers["X-Cache"] == "skip"
        assert answer.json["inference_metadata"]["cache"] == {"hit": False, "skipped": reason}
    assert entries(service) == 1


def test_a_caller_may_ask_for_it_at_any_temperature(client):
    warm = {"temperature": 1, "cache": {"any_temperature": True}}
    assert [ask(client, **warm).headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]


def test_what_is_wrong_is_refused(client):
    for cache in ("store", 1, [], {"user": True}, {"user_specific": "yes"}):
        body = {"model": MODEL, "messages": [{"role": "user", "content": "a"}], "cache": cache}
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 422
        assert answer.json["error"]["param"].startswith("cache")


def test_it_is_off_unless_it_is_switched_on(service):
    client = service.front_end(INFERENCE_SEMANTIC_CACHE="false")
    for _ in range(2):
        answer = ask(client)
        assert "X-Cache" not in answer.headers
        assert "cache" not in answer.json["inference_metadata"]
    assert service.engine.asked == 2
    assert entries(service) == 0


def test_only_whole_answers_of_a_known_model_are_kept(service, client):
    service.engine.finish_reason = "length"
    ask(client)
    assert entries(service) == 0
    service.engine.finish_reason, service.says_hash = "stop", False
    ask(client)
    assert entries(service) == 0
    service.says_hash = True
    ask(client)
    assert entries(service) == 1


def test_an_answer_is_not_kept_for_a_file_that_did_not_make_it(service, client):
    """The front end has seen one file; another one was in memory when the answer was made."""
    service.model_hash = "bb"
    ask(client)
    assert entries(service) == 0


def test_another_file_takes_its_answers_with_it_at_once(service, client):
    ask(client)
    assert ask(client).headers["X-Cache"] == "hit"
    service.becomes("bb")  # the front end's directory may be older
    assert content(ask(client)) == "answer 2"
    wait_for(lambda: ask(client).headers["X-Cache"] == "hit", WITHIN_S)
    assert content(ask(client)) != "answer 1"


def test_no_answer_is_of_a_file_that_was_replaced_before_it_was_asked_for(service, client):
    """Under load; requests that come while no worker is there are refused."""
    ends, stale, words = threading.Event(), [], set()

    def load(number):
        body = {"model": MODEL, "temperature": 0}
        while not ends.is_set():
            number += 1
            question = f"What is the height of tower {number % 3}?"
            in_memory = service.model_hash
            asked = {**body, "messages": [{"role": "user", "content": question}]}
            answer = client.application.test_client().post("/v1/chat/completions", json=asked)
            if answer.status_code == 200:
                words.add((answer.headers["X-Cache"], in_memory))
                if content(answer).split()[0] < in_memory:
                    stale.append((in_memory, content(answer), answer.headers["X-Cache"]))

    threads = [threading.Thread(target=load, args=(number,)) for number in range(3)]
    service.restarts("file-1")
    for thread in threads:
        thread.start()
    try:
        for number in range(2, 6):
            wait_for(lambda of=number - 1: ("hit", f"file-{of}") in words, WITHIN_S)
            service.restarts(f"file-{number}")
    finally:
        ends.set()
        for thread in threads:
            thread.join(WITHIN_S)
    assert stale == []


def test_what_is_cleared_is_found_by_nobody(service, client):
    elsewhere = service.front_end()
    ask(client)
    assert ask(elsewhere).headers["X-Cache"] == "hit"
    cleared = client.delete(f"/v1/caches/semantic?model={MODEL}").json["data"]
    assert cleared[0]["dropped"] == 1
    assert ask(elsewhere).headers["X-Cache"] == "miss"
    assert ask(client).headers["X-Cache"] == "hit"


def test_it_counts_one_hit_or_miss_a_lookup(service, client):
    ask(client)
    ask(client)
    ask(client, temperature=1)

    def counts():
        listed = {each["id"]: each for each in client.get("/v1/caches").json["data"]}
        return [listed["semantic"][name] for name in ("entries", "hits", "misses")]

    wait_for(lambda: counts() == [1, 1, 1], WITHIN_S)


def test_answers_are_of_an_api_key_unless_they_are_shared(service):
    texts = [key_file.add(service.settings().keys_file, name, None, None) for name in "ab"]
    one, other = ({"Authorization": f"Bearer {text}"} for text in texts)
    client = service.front_end()
    assert ask(client, headers=one).headers["X-Cache"] == "miss"
    assert ask(client, headers=other).headers["X-Cache"] == "miss"
    assert ask(client, headers=one).headers["X-Cache"] == "hit"
    shared = service.front_end(INFERENCE_SEMANTIC_CACHE_SHARED="true")
    assert ask(shared, headers=one).headers["X-Cache"] == "miss"
    assert ask(shared, headers=other).headers["X-Cache"] == "hit"


def test_a_lookup_that_takes_long_is_a_miss_and_the_next_ones_do_not_wait(
    service, client, monkeypatch
):
    ask(client)
    service.server.stop()
    monkeypatch.setattr(lookup, "MOST_S", 0.1)
    monkeypatch.setattr(lookup, "PAUSE_S", 3600)
    began = time.monotonic()
    answer = ask(client)
    assert (answer.headers["X-Cache"], content(answer)) == ("miss", "answer 2")
    assert time.monotonic() - began < WITHIN_S
    answer = ask(client)
    assert answer.json["inference_metadata"]["cache"]["skipped"] == "unavailable"


def test_without_its_embedding_model_it_is_off_and_says_so_once(service, client, caplog):
    def state():
        return client.get("/health/ready").json.get("semantic_cache")

    wait_for(lambda: state() == {"status": "on"}, WITHIN_S)
    service.embeds.unloading()
    service.tell()
    wait_for(lambda: (state() or {})["status"] == "off", WITHIN_S)
    assert "inference-service load embeds" in state()["reason"]
    caplog.clear()
    for _ in range(2):
        answer = ask(client)
        assert answer.json["inference_metadata"]["cache"]["skipped"] == "unavailable"
    told = [each for each in caplog.records if "semantic cache is off" in each.getMessage()]
    assert len(told) == 1


def test_a_worker_of_the_version_before_searches_nothing(service, client):
    service.embeds.takes_calls([])
    service.tell()
    wait_for(lambda: ask(client).headers["X-Cache"] == "skip", WITHIN_S)


def test_a_broken_entry_is_a_miss(service, client):
    ask(client)
    (name,) = service.redis.scan_iter(f"{keys.PREFIX}cached:semantic:*")
    raw = service.redis.get(name)
    for asked, broken in enumerate((b"", b"x" * 17, raw[:-1], b"x" + raw[1:]), start=2):
        service.redis.set(name, broken)
        assert content(ask(client)) == f"answer {asked}"


def test_a_reply_that_is_none_is_a_miss(service, client):
    candidates = [["x"], "y", ["x", 2.0], [1, 1.0], ["m|gone", 0.99], ["m|\ud800", 0.99]]
    for asked, reply in enumerate(
        (
            {},
            {"vector": 1, "candidates": []},
            {"vector": "%", "candidates": []},
            {"vector": "AACA", "candidates": []},
            {"vector": "AACAPw==" + "A" * 400_000, "candidates": []},
            {"vector": "A" * 400_000, "candidates": []},
            {"vector": "AACAPw==", "candidates": {}},
            {"vector": "AACAPw==", "candidates": candidates},
        ),
        start=1,
    ):
        service.server._handlers = {SEARCH: lambda _, reply=reply: reply}
        answer = ask(client)
        assert (answer.headers["X-Cache"], content(answer)) == ("miss", f"answer {asked}")


def test_a_forged_candidate_is_not_believed(service, client):
    """One that names an entry of another scope: what that says is not given."""
    ask(client)
    (name,) = service.redis.scan_iter(f"{keys.PREFIX}cached:semantic:*")
    member = name.decode().removeprefix(f"{keys.PREFIX}cached:semantic:")
    service.server._handlers = {
        SEARCH: lambda _: {"vector": "AACAPw==", "candidates": [[member, 1.0]]}
    }
    answer = ask(client, "What is the height of the bridge?")
    assert (answer.headers["X-Cache"], content(answer)) == ("miss", "answer 2")


def test_an_entry_of_a_version_that_cannot_be_read_is_a_miss(service, client):
    ask(client)
    cache = Cache(SEMANTIC, service.redis, most_bytes=10**7)
    (name,) = service.redis.scan_iter(f"{keys.PREFIX}cached:semantic:*")
    id_ = name.decode().rpartition("|")[2]
    entry = Entry.decode(cache.read(id_, MODEL))
    for asked, outcome in enumerate(({}, {**entry.outcome, "usage": 1}), start=2):
        cache.store(id_, replace(entry, outcome=outcome).encode(), MODEL)
        answer = ask(service.front_end())
        assert (answer.headers["X-Cache"], content(answer)) == ("miss", f"answer {asked}")


class Index:
    """A search of its own, on entries that a test stores."""

    def __init__(self, redis):
        self.cache = Cache(SEMANTIC, redis, most_bytes=10**7)
        self.search = SemanticSearch(Embeds(), self.cache)

    def store(self, question, vector=(1, 0, 0), scope=b"s" * 32, model="m"):
        numbers = np.array(vector, dtype="<f4").tobytes()
        entry = Entry(scope, numbers, question, (("", "text"),), {}, 1.0)
        self.cache.store(entry.id, entry.encode(), model)
        assert Entry.decode(entry.encode()) == entry
        return f"{model}|{entry.id}"

    def found(self, scope=b"s" * 32, threshold=0.9):
        body = {"text": "a", "scope": scope.hex(), "threshold": threshold}
        return [member for member, _ in self.search(body)["candidates"]]


def test_the_index_follows_what_is_stored_and_dropped(redis):
    index = Index(redis)
    assert index.found() == []
    near, same = index.store("near", (0.95, 0.3, 0)), index.store("same")
    index.store("far", (0, 1, 0))
    index.store("of another model's", (1, 0))
    other = index.store("of another scope", scope=b"t" * 32, model="n")
    assert index.found() == [same, near]
    assert index.found(b"t" * 32) == [other]
    redis.delete(f"{keys.PREFIX}cached:semantic:{same}")  # as its time would
    assert index.found() == [near]
    index.cache.invalidate_by_model("m")
    assert index.found() == []
    assert index.found(b"t" * 32) == [other]
    assert index.store("same") == same
    assert index.found() == [same]
    assert Index(redis).found() == [same]  # of a worker that starts anew


def test_so_many_candidates_are_given_and_those_that_are_gone_hide_nobody(redis):
    index = Index(redis)
    gone = [index.store(f"gone {number}") for number in range(MOST_CANDIDATES + 3)]
    there = index.store("there", (0.99, 0.1, 0))
    assert len(index.found()) == MOST_CANDIDATES
    for member in gone:
        redis.delete(f"{keys.PREFIX}cached:semantic:{member}")
    assert index.found() == [there]
