"""Every code of the contract, raised through HTTP."""

import json
import threading

import pytest
from kombu.exceptions import OperationalError

from tests.support.waiting import wait_for
from web.access import key_file
from web.app import create_app
from web.edge import refusals
from web.errors import STATUS, body
from workers.cluster.orders import Order, Orders, Target, Why
from workers.cluster.presence import Presence, Worker
from workers.contract import errors, keys
from workers.contract.job import JobState, Priority
from workers.contract.step import StepRequest
from workers.runtime import generation
from workers.settings import read
from workers.store import dead_letters
from workers.store.jobs import JobStore
from workers.store.leases import Leases
from workers.store.token_log import TokenLog

MODEL = "smollm2-135m"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}

#: What a worker, the keeper or an engine may find wrong once a request was accepted.
BEHIND_THE_QUEUE = [
    errors.ContextBudgetExceeded("too long", details={"current_tokens": 9, "budget": 8}),
    errors.EngineFailed(),
    errors.Internal(),
    errors.ConstraintFailed(details={"param": "guided_regex", "reason": "no token can follow"}),
    errors.TimeBudgetExceeded(details={"phase": "tokenising the prompt", "budget_s": 10.0}),
    errors.UnsupportedParameter(),
    errors.ValidationFailed("the grammar", details={"param": "response_format"}),
    errors.WorkerLost(),
    errors.JobCancelled(details={"reason": "it was cancelled"}),
    errors.JobExpired(),
    errors.JobPoisoned(),
    errors.CompressionFailed(),
    errors.HandoffStateInvalid(),
    errors.OrchestrationFailed(),
]
_raised = set()


class Raises:
    """An engine that can only refuse."""

    context_length = memory_bytes = 0

    def __init__(self, error):
        self._error = error

    def generate(self, request, cancelled):
        raise self._error


@pytest.fixture
def settings(tmp_path, redis_socket):
    def make(**environ):
        environ = {"INFERENCE_DATA_DIR": str(tmp_path), "INFERENCE_BACKEND": "scripted", **environ}
        environ.setdefault("INFERENCE_REDIS_URL", f"unix://{redis_socket}")
        return read(environ, env_file=None)

    return make


@pytest.fixture
def front_end(settings, redis):
    apps = []

    def make(**environ):
        apps.append(create_app(settings(**environ)))
        return apps[-1].test_client()

    yield make
    for app in apps:
        app.extensions["inference"].hub.stop()


@pytest.fixture
def worker(redis):
    """Announces a worker of the model; no process runs."""
    presence = Presence(redis, Worker("w", MODEL, pid=1, host="h", concurrency=1))
    presence.start()
    yield presence
    presence.stop()


def wait_for_status(redis, status):
    """Wait until the worker's status is known."""
    wait_for(lambda: (raw := redis.get(keys.worker("w"))) and f'"{status}"'.encode() in raw)


def error_of(answer, code):
    """The error in an answer, checked for its status, its form and its headers."""
    error = answer.get_json()["error"]
    assert set(error) == {"code", "message", "type", "param", "provider", "details"}
    assert (error["code"], answer.status_code) == (code, STATUS[code])
    assert error["provider"] == "inference-service"
    assert error["message"]
    retriable = errors.BY_CODE[code].retriable
    assert error["type"] == ("retriable" if retriable else "non_retriable")
    if retriable:
        assert int(answer.headers["Retry-After"]) >= 1
        assert int(answer.headers["retry-after-ms"]) >= 1
    elif answer.status_code >= 500:
        assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["X-Request-ID"]
    _raised.add(code)
    return error


def messages_error_of(answer, kind):
    """The error in an answer in the form of Anthropic's API."""
    body = answer.get_json()
    assert (body["type"], body["error"]["type"]) == ("error", kind)
    assert body["request_id"] == answer.headers["request-id"]
    _raised.add(body["error"]["code"])
    return body["error"]


def ask(client, body=None, **options):
    return client.post("/v1/chat/completions", json=body or BODY, **options)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"data": "{", "content_type": "application/json"}, "MALFORMED_JSON"),
        ({"data": "{}", "content_type": "text/plain"}, "UNSUPPORTED_MEDIA_TYPE"),
        (
            {"data": b" " * (16 * 2**20 + 1), "content_type": "application/json"},
            "PAYLOAD_TOO_LARGE",
        ),
        ({"json": {}}, "VALIDATION_ERROR"),
        ({"json": {**BODY, "top_a": 0.2}}, "UNSUPPORTED_PARAMETER"),
        ({"json": {**BODY, "model": "smollm2-135"}}, "MODEL_NOT_FOUND"),
        ({"json": BODY}, "NO_WORKER"),
        ({"json": {**BODY, "orchestration_mode": "critique"}}, "NOT_ENOUGH_MODELS"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_edge_refuses(front_end, request_, code):
    error_of(front_end().post("/v1/chat/completions", **request_), code)


@pytest.mark.parametrize(
    ("request_", "status", "kind"),
    [
        ({"data": "{", "content_type": "application/json"}, 400, "invalid_request_error"),
        (
            {"data": b" " * (16 * 2**20 + 1), "content_type": "application/json"},
            413,
            "request_too_large",
        ),
        ({"json": {**BODY, "max_tokens": 5}}, 529, "overloaded_error"),
    ],
)
def test_what_is_refused_in_the_form_of_anthropics_api(front_end, request_, status, kind):
    answer = front_end().post("/v1/messages", **request_)
    assert answer.status_code == status
    messages_error_of(answer, kind)


def test_a_model_that_does_something_else(front_end):
    body = {"model": MODEL, "input": "hello"}
    error_of(front_end().post("/v1/embeddings", json=body), "WRONG_MODEL_KIND")


def test_what_flask_would_answer_by_itself(front_end):
    client = front_end()
    error_of(client.get("/nowhere"), "NOT_FOUND")
    unbuilt = messages_error_of(client.post("/v1/messages/batches"), "not_found_error")
    assert unbuilt["details"]["page"] == "docs/MESSAGES.md"
    assert "POST" in client.get("/v1/chat/completions").headers["Allow"]
    error_of(client.get("/v1/chat/completions"), "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ModelLoadFailed("no such file"), "MODEL_LOAD_FAILED"),
        (errors.InsufficientMemory("too big"), "INSUFFICIENT_MEMORY"),
    ],
)
def test_a_model_that_cannot_be_loaded(front_end, redis, worker, error, code):
    worker.failed(error)
    wait_for_status(redis, "failed")
    answered = error_of(ask(front_end()), code)
    assert error.message in answered["message"]


def test_a_model_that_is_being_loaded(front_end, redis, worker):
    wait_for_status(redis, "loading")
    error_of(ask(front_end()), "MODEL_LOADING")


def test_a_model_that_is_loaded_and_unloaded_at_once(front_end, redis):
    redis.mset({keys.KEEPER: "k", keys.SUPERVISOR: "here"})
    orders = Orders(redis)

    def unload():
        asked = wait_for(lambda: orders.requested(MODEL))
        orders.give(Order(MODEL, Target.UNLOADED, Why.ASKED, 1), asked)

    other = threading.Thread(target=unload)
    other.start()
    error_of(front_end().post(f"/v1/models/{MODEL}/load"), "MODEL_BUSY")
    other.join()


@pytest.mark.parametrize("error", BEHIND_THE_QUEUE, ids=lambda error: error.code)
@pytest.mark.parametrize("stream", [False, True])
def test_what_comes_after_the_queue_decides_the_status(front_end, redis, worker, error, stream):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    leases, token_log = Leases(redis, "w"), TokenLog(redis)
    leases.start()
    token_log.start()

    def refuse():
        task_id = wait_for(lambda: redis.zrange(keys.waiting(MODEL), 0, 0))[0].decode()
        job_id, _, step = task_id.partition("|")
        step_request = StepRequest(job_id, step, MODEL, ends_job=True)
        runner = generation.StepRunner(Raises(error), leases, token_log)
        generation.run(step_request, runner)

    worker_thread = threading.Thread(target=refuse)
    worker_thread.start()
    try:
        answered = error_of(ask(front_end(), {**BODY, "stream": stream}), error.code)
    finally:
        worker_thread.join()
        token_log.stop()
        leases.stop()
    assert answered["message"] == error.message
    assert answered["details"] == error.details


def test_an_answer_that_does_not_come_in_time(front_end, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    error_of(ask(front_end(INFERENCE_REQUEST_TIMEOUT="3")), "REQUEST_TIMEOUT")


def test_all_places_taken(front_end, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    client = front_end(INFERENCE_WEB_THREADS="16")
    permits = client.application.extensions["inference"].thread_permits
    while permits.acquire(blocking=False):
        pass
    error_of(ask(client), "TEMPORARY_RESOURCE")
    assert client.get("/health").status_code == 200


def test_all_that_may_be_open_is_open(front_end, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    client = front_end(INFERENCE_MAX_QUEUED_JOBS="1")
    taken = client.post("/v1/jobs", json=BODY)
    assert (taken.status_code, taken.get_json()["position"]) == (202, 1)
    refused = client.post("/v1/jobs", json=BODY)
    error_of(refused, "QUEUE_FULL")
    assert refused.headers["X-Queue-Position"] == "2"


def test_a_deadline_that_cannot_be_made(front_end, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    redis.set(keys.pace(MODEL), 10_000)
    redis.sadd(keys.running(MODEL), "another")
    error = error_of(
        front_end().post("/v1/jobs", json={**BODY, "deadline_s": 5}), "DEADLINE_UNREACHABLE"
    )
    assert error["details"]["estimated_wait_s"] == 10


def test_a_key_that_stands_for_another_body(front_end, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    client, headers = front_end(), {"Idempotency-Key": "k"}
    first = client.post("/v1/jobs", json=BODY, headers=headers)
    again = client.post("/v1/jobs", json={**BODY, "model": MODEL}, headers=headers)
    assert again.get_json()["id"] == first.get_json()["id"]
    error_of(
        client.post("/v1/jobs", json={**BODY, "seed": 1}, headers=headers), "IDEMPOTENCY_CONFLICT"
    )


def test_redis_has_hardly_any_memory_left(front_end, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    client = front_end()
    used = redis.info("memory")["used_memory"]
    redis.config_set("maxmemory", int(used / 0.95))
    try:
        error = error_of(ask(client), "TEMPORARY_RESOURCE")
        readiness = client.get("/health/ready")
    finally:
        redis.config_set("maxmemory", 0)
    assert error["details"]["redis_memory_used"] > 0.9
    # What is there can be read and deleted: the service is not taken out of a proxy's list.
    assert (readiness.status_code, readiness.get_json()["degraded"]) == (200, ["redis"])
    assert "INFERENCE_REDIS_MEMORY_MB" in readiness.get_json()["reason"]


def test_redis_has_no_memory_left_at_all(front_end, redis, worker, monkeypatch):
    """The gauge is half a second old; the server's own word counts too."""
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    client = front_end()
    monkeypatch.setattr("workers.store.redis_memory.RedisMemory.used", lambda _: 0.0)
    redis.config_set("maxmemory", 1)
    try:
        error_of(ask(client), "TEMPORARY_RESOURCE")
    finally:
        redis.config_set("maxmemory", 0)


def test_a_job_that_cannot_be_put_on_disk(front_end, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    client = front_end(INFERENCE_JOBS_FSYNC="true")  # the server has no append-only file
    error = error_of(client.post("/v1/jobs", json=BODY), "BROKER_UNAVAILABLE")
    assert "FSYNC" in error["message"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/chat/completions"])
def test_a_job_that_cannot_be_started_is_taken_back(front_end, redis, worker, monkeypatch, path):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    client, headers = front_end(), {"Idempotency-Key": "k"}
    stored = []

    def fail(_app, steps, _rank):
        stored.extend(step.request.job_id for step in steps)
        raise OperationalError("Redis went away after the job was stored")

    with monkeypatch.context() as away:
        away.setattr("orchestration.rounds.dispatch.send", fail)
        error_of(client.post(path, json=BODY, headers=headers), "BROKER_UNAVAILABLE")
    assert JobStore(redis).record(stored[0]).state is JobState.CANCELLED
    assert not redis.keys(keys.idempotency("*"))


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://169.254.169.254/", "ftp://x/"])
def test_a_webhook_that_may_not_go_there(front_end, url):
    client = front_end(INFERENCE_WEBHOOK_SECRET="a secret of some length")
    answer = client.post("/v1/jobs", json={**BODY, "webhook": url})
    error = error_of(answer, "VALIDATION_ERROR")
    assert error["details"]["param"] == "webhook"
    assert error["details"]["reason"]


def test_a_request_that_never_comes_whole():
    """Before there is a request there is no application: the server writes the answer itself."""
    head, _, content = refusals.of_late_head(10).answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    error = json.loads(content)["error"]
    assert (
        error
        == body(errors.RequestIncomplete(error["message"], details={"timeout_s": 10}))["error"]
    )
    assert "INFERENCE_HEAD_TIMEOUT_S" in error["message"]
    assert STATUS[error["code"]] == 408
    _raised.add(error["code"])


def test_a_front_end_that_ends_answers_nothing_more(front_end, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    client = front_end(INFERENCE_GRACE_S="0")
    draining = client.application.extensions["inference"].draining
    draining.begin()
    draining.look()
    error_of(ask(client), "FRONT_END_STOPPING")
    assert redis.zcard(keys.SLOTS) == 0  # its job is cancelled: it is asked for again elsewhere


def test_redis_away(front_end, tmp_path):
    client = front_end(INFERENCE_REDIS_URL=f"unix://{tmp_path / 'nobody'}")
    error_of(ask(client), "BROKER_UNAVAILABLE")
    assert client.get("/health").status_code == 200
    assert client.get("/health/ready").status_code == 503


def test_an_unexpected_error_tells_no_traceback(front_end, monkeypatch):
    def fail(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr("web.schemas.completion.load", fail)
    answer = ask(front_end(), headers={"X-Request-ID": "find-me"})
    error = error_of(answer, "INTERNAL")
    assert "secret" not in answer.get_data(as_text=True)
    assert "find-me" in error["message"]


def test_keys(front_end, settings):
    file = settings().keys_file
    secret = key_file.add(file, "alice", Priority.NORMAL, requests_per_minute=2)
    client = front_end()
    error_of(ask(client), "UNAUTHORIZED")
    error_of(ask(client, headers={"Authorization": "Bearer is-wrong"}), "UNAUTHORIZED")
    error_of(client.get("/v1/models"), "UNAUTHORIZED")
    assert client.get("/health").status_code == 200
    assert client.get("/health/ready").status_code == 503
    shown = {"Authorization": f"Bearer {secret}"}
    error = error_of(ask(client, {**BODY, "priority": 3}, headers=shown), "FORBIDDEN")
    assert error["details"]["highest_priority"] == 2
    assert client.get("/v1/models", headers=shown).status_code == 200
    limited = ask(client, headers=shown)
    error_of(limited, "RATE_LIMITED")
    send = {"json": {**BODY, "max_tokens": 5}}
    for header, kind, status in (
        ({}, "authentication_error", 401),
        ({"x-api-key": "is-wrong"}, "authentication_error", 401),
        ({"x-api-key": secret}, "rate_limit_error", 429),
    ):
        refused = client.post("/v1/messages", **send, headers=header)
        assert refused.status_code == status
        messages_error_of(refused, kind)
    assert 1 <= int(limited.headers["Retry-After"]) <= 30


def test_one_of_several_keys_holds_a_part_of_the_places(front_end, settings, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    alice, bob = (
        {"Authorization": f"Bearer {key_file.add(settings().keys_file, name)}"}
        for name in ("alice", "bob")
    )
    client = front_end(INFERENCE_MAX_CONCURRENT_REQUESTS="2", INFERENCE_REQUEST_TIMEOUT="3")
    shares = client.application.extensions["inference"].request_shares
    (alice_id,) = (key.id for key in key_file.read(settings().keys_file) if key.name == "alice")
    with shares.holding(alice_id, 2):
        error = error_of(ask(client, headers=alice), "TEMPORARY_RESOURCE")
        assert error["details"] == {"bound": "key_share", "limit": 1}
        error_of(ask(client, headers=bob), "REQUEST_TIMEOUT")  # it got in, and nobody answers


def test_pages_of_other_origins(front_end):
    client = front_end(INFERENCE_CORS_ORIGINS="https://friend.example")
    error_of(client.get("/v1/models", headers={"Origin": "https://stranger.example"}), "FORBIDDEN")
    friend = client.get("/v1/models", headers={"Origin": "https://friend.example"})
    assert friend.headers["Access-Control-Allow-Origin"] == "https://friend.example"
    assert "Idempotent-Replayed" in friend.headers["Access-Control-Expose-Headers"]
    own = client.get("/v1/models", headers={"Origin": "http://localhost"})
    assert own.status_code == 200
    asked = {"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"}
    preflight = client.options("/v1/chat/completions", headers=asked)
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]


def test_names_that_are_not_ours(front_end):
    """DNS rebinding: the page's own name points here, and Origin agrees with Host."""
    rebound = {"Host": "evil.example:8085", "Origin": "http://evil.example:8085"}
    client = front_end()
    error = error_of(client.get("/v1/models", headers=rebound), "FORBIDDEN")
    assert "INFERENCE_ALLOWED_HOSTS" in error["message"]
    error_of(client.post("/v1/models/x/unload", headers=rebound), "FORBIDDEN")
    assert client.get("/health", headers=rebound).status_code == 200
    assert client.get("/health/ready", headers=rebound).status_code == 503
    assert client.get("/v1/models", headers={"Host": "127.0.0.1:8085"}).status_code == 200
    ours = front_end(INFERENCE_ALLOWED_HOSTS="evil.example")
    assert ours.get("/v1/models", headers=rebound).status_code == 200


@pytest.mark.parametrize(
    ("turns", "code", "bound"),
    [
        ([0] * 5000, "VALIDATION_ERROR", "messages"),
        ([{}] * 4097, "VALIDATION_ERROR", "messages"),
        ([0] * 200_000, "PAYLOAD_TOO_LARGE", "values"),
    ],
)
def test_more_items_than_a_conversation_has(front_end, turns, code, bound):
    error = error_of(ask(front_end(), {**BODY, "messages": turns}), code)
    assert error["details"]["bound"] == bound
    assert str(error["details"]["limit"]) in error["message"]


def test_the_first_wrong_item_is_named_and_no_other(front_end):
    wrong = [*BODY["messages"], *[{"role": "wizard"}] * 4000]
    error = error_of(ask(front_end(), {**BODY, "messages": wrong}), "VALIDATION_ERROR")
    assert error["details"]["param"] == "messages.1.role"


def test_a_job_is_seen_by_its_own_key_only(front_end, settings, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    alice, bob = (
        {"Authorization": f"Bearer {key_file.add(settings().keys_file, name)}"}
        for name in ("alice", "bob")
    )
    client = front_end()
    taken = client.post("/v1/jobs", json=BODY, headers=alice)
    assert taken.status_code == 202
    address = taken.get_json()["status_url"]
    assert client.get(address, headers=alice).get_json()["state"] == "queued"
    for refused in (
        client.get(address, headers=bob),
        client.delete(address, headers=bob),
        client.get(f"{address}/events", headers=bob),
        client.get("/v1/jobs/chatcmpl-none", headers=alice),
    ):
        error_of(refused, "JOB_NOT_FOUND")
    assert client.get("/v1/jobs", headers=bob).get_json()["data"] == []
    assert len(client.get("/v1/jobs", headers=alice).get_json()["data"]) == 1
    bent = client.get(f"{address}/events", headers={**alice, "Last-Event-ID": "77"})
    error_of(bent, "INVALID_EVENT_ID")


def shown(text):
    return {"Authorization": f"Bearer {text}"}


def test_what_needs_an_admin_key(front_end, settings):
    """Without keys whoever reaches the service may do everything."""
    file = settings().keys_file
    orders = [("post", "/v1/models/x/load"), ("post", "/v1/models/x/unload")]
    orders += [("get", "/v1/dead-letters"), ("post", "/v1/dead-letters/x/retry")]
    orders += [("delete", "/v1/dead-letters/x")]

    def statuses(client, headers):
        return [getattr(client, verb)(path, headers=headers).status_code for verb, path in orders]

    allowed = [404, 404, 200, 404, 404]
    assert statuses(front_end(), {}) == allowed
    ordinary, admin = (key_file.add(file, name, admin=name == "root") for name in ("alice", "root"))
    client = front_end(INFERENCE_ADMIN_KEYS="admin-of-the-environment")
    for verb, path in orders:
        error = error_of(getattr(client, verb)(path, headers=shown(ordinary)), "FORBIDDEN")
        assert "keys add NAME --admin" in error["message"]
        assert "INFERENCE_ADMIN_KEYS" in error["message"]
    for text in (admin, "admin-of-the-environment"):
        assert statuses(client, shown(text)) == allowed


def test_a_job_belongs_to_its_key_and_not_to_a_name_or_a_place(front_end, settings, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    file = settings().keys_file
    both = front_end(INFERENCE_API_KEYS="alpha,beta")

    def listed(client, text):
        return [job["id"] for job in client.get("/v1/jobs", headers=shown(text)).get_json()["data"]]

    def taken(text):
        return both.post("/v1/jobs", json=BODY, headers=shown(text)).get_json()["id"]

    old = key_file.add(file, "alice")
    of_alice, of_alpha, of_beta = taken(old), taken("alpha"), taken("beta")
    alone = front_end(INFERENCE_API_KEYS="beta")
    assert listed(alone, "beta") == [of_beta]
    turned = front_end(INFERENCE_API_KEYS="beta,alpha")
    assert (listed(turned, "alpha"), listed(turned, "beta")) == ([of_alpha], [of_beta])
    new = key_file.rotate(file, "alice", grace_s=60)
    assert listed(alone, new) == listed(alone, old) == [of_alice]
    newer = key_file.rotate(file, "alice")
    error_of(alone.get("/v1/jobs", headers=shown(new)), "UNAUTHORIZED")
    assert listed(alone, newer) == [of_alice]
    key_file.revoke(file, "alice")
    other = key_file.add(file, "alice")
    assert listed(alone, other) == []
    error_of(alone.get(f"/v1/jobs/{of_alice}", headers=shown(other)), "JOB_NOT_FOUND")


def test_a_key_that_has_used_its_bytes_is_refused_and_no_other(front_end, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    client = front_end(INFERENCE_API_KEYS="alpha,beta", INFERENCE_MAX_STORED_MB_PER_KEY="1")
    large = {**BODY, "messages": [{"role": "user", "content": "x" * 7000}] * 100}

    def submit(text):
        return client.post("/v1/jobs", json=large, headers=shown(text))

    taken = submit("alpha")
    assert taken.status_code == 202
    error = error_of(submit("alpha"), "TEMPORARY_RESOURCE")
    assert "INFERENCE_MAX_STORED_MB_PER_KEY" in error["message"]
    assert (error["details"]["bound"], error["details"]["limit"]) == ("stored_bytes", 1_000_000)
    assert submit("beta").status_code == 202
    address = taken.get_json()["status_url"]
    assert client.delete(address, headers=shown("alpha")).get_json()["state"] == "cancelled"
    assert submit("alpha").status_code == 202
    assert client.delete(address, headers=shown("alpha")).get_json()["deleted"]
    error_of(client.delete(address, headers=shown("alpha")), "JOB_NOT_FOUND")


def test_an_admin_runs_the_dead_letter_of_another_key_again(front_end, redis, worker):
    worker.loaded(1, 8192)
    wait_for_status(redis, "loaded")
    client = front_end(INFERENCE_API_KEYS="alpha", INFERENCE_ADMIN_KEYS="root")
    job_id = client.post("/v1/jobs", json=BODY, headers=shown("alpha")).get_json()["id"]
    dead_letters.add(redis, job_id, errors.JobPoisoned())
    (dead,) = client.get("/v1/dead-letters", headers=shown("root")).get_json()["data"]
    assert (dead["id"], dead["error"]["code"]) == (job_id, "JOB_POISONED")
    retry = f"/v1/dead-letters/{job_id}/retry"
    error_of(client.post(retry, headers=shown("alpha")), "FORBIDDEN")
    again = client.post(retry, headers=shown("root")).get_json()["id"]
    assert client.get("/v1/dead-letters", headers=shown("root")).get_json()["data"] == []
    jobs = JobStore(redis)
    assert jobs.record(again).job.messages[0].content == BODY["messages"][0]["content"]
    assert jobs.record(job_id).job.messages == ()
    shown_again = client.get(f"/v1/jobs/{again}", headers=shown("alpha")).get_json()
    assert shown_again["state"] == "queued"
    error_of(client.get(f"/v1/jobs/{again}", headers=shown("root")), "JOB_NOT_FOUND")


def test_every_code_was_raised():
    """After all others of this module: it looks at what they raised."""
    assert set(errors.BY_CODE) == set(STATUS)
    assert _raised == set(STATUS)
