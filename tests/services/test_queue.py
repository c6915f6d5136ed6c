"""The queue as its callers meet it: who is let in, who is next, who must hurry."""

import contextlib
import json
import threading
import time

import httpx
import pytest

from tests.support.jobs import ENDLESS
from tests.support.service import Service
from tests.support.service_fixture import SCRIPTED, service_fixture
from tests.support.waiting import wait_for

ALICE, BOB = ({"Authorization": f"Bearer {name}-{name}-{name}-key"} for name in ("alice", "bobby"))
AGING_S = 1


queue = service_fixture(
    "One answer at a time, three open requests, five waiting jobs, two keys.",
    INFERENCE_HOST="127.0.0.1",
    INFERENCE_API_KEYS="alice-alice-alice-key,bobby-bobby-bobby-key",
    INFERENCE_MAX_CONCURRENT_REQUESTS="3",
    INFERENCE_MAX_QUEUED_JOBS="8",
    INFERENCE_AGING_S=str(AGING_S),
    INFERENCE_JOBS_FSYNC="true",
    # What is tested is the bound of all keys together, which one key reaches here.
    INFERENCE_MAX_KEY_SHARE="1",
    **SCRIPTED,
)


@pytest.fixture
def client(queue):
    with httpx.Client(base_url=queue.url, timeout=60, headers=ALICE) as client:
        yield client


@pytest.fixture
def busy(queue, client):
    """The one worker is taken until the block ends."""

    @contextlib.contextmanager
    def busy():
        blocker = submit(queue, client, ENDLESS)
        wait_for(lambda: state(client, blocker) == "running")
        try:
            yield
        finally:
            client.delete(f"/v1/jobs/{blocker['id']}")

    return busy


def submit(queue, client, content, headers=None, **options):
    answer = client.post("/v1/jobs", json=queue.ask(content, **options), headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


def state(client, taken, headers=None):
    return client.get(taken["status_url"], headers=headers).json()["state"]


def ended(client, taken, headers=None):
    def look():
        shown = client.get(taken["status_url"], headers=headers).json()
        return shown if shown["state"] not in ("queued", "running") else None

    return wait_for(look, 30)


def in_order(queue, *taken):
    """The jobs' ids in the order in which they were begun."""
    redis = queue.redis()
    begun = {
        job["id"]: int(redis.hget(f"inference:job:{job['id']}", "answer:taken_ms")) for job in taken
    }
    return sorted(begun, key=begun.get)


def test_the_urgent_overtake_the_rest(queue, client, busy):
    with busy():
        low = submit(queue, client, {"text": "low"}, priority=1)
        bulk = submit(queue, client, {"text": "bulk"}, priority=0)
        high = submit(queue, client, {"text": "high"}, priority=3)
        assert [high["position"], state(client, high)] == [1, "queued"]
        places = [client.get(job["status_url"]).json()["position"] for job in (high, low, bulk)]
        assert places == [1, 2, 3]
    for job in (low, bulk, high):
        assert ended(client, job)["state"] == "completed"
    assert in_order(queue, bulk, low, high) == [high["id"], low["id"], bulk["id"]]


def test_bulk_is_for_jobs_only(queue, client):
    answer = client.post("/v1/chat/completions", json=queue.ask("x", priority=0))
    assert answer.status_code == 422


def test_what_waits_long_is_before_what_is_urgent(queue, client, busy):
    """Low begins at list 6 and needs four moves to be before high, which begins at 2."""
    with busy():
        low = submit(queue, client, {"text": "low"}, priority=1)
        waiting = queue.redis()
        member = f"{low['id']}|answer"
        wait_for(
            lambda: waiting.zscore("inference:waiting:smollm2-135m", member) < 2e13, 10 * AGING_S
        )
        high = submit(queue, client, {"text": "high"}, priority=3)
        assert client.get(low["status_url"]).json()["position"] == 1
        assert high["position"] == 2
    assert ended(client, low)["state"] == ended(client, high)["state"] == "completed"
    assert in_order(queue, high, low) == [low["id"], high["id"]]


def test_one_key_does_not_push_another_back(queue, client, busy):
    """The model answers one at a time, so one may wait in a key's name; the rest goes lower."""
    with busy():
        hers = [submit(queue, client, {"text": str(n)}) for n in range(4)]
        his = submit(queue, client, {"text": "his"}, headers=BOB)
        assert his["position"] == 2
        places = [client.get(job["status_url"]).json()["position"] for job in hers]
        assert places == [1, 3, 4, 5]
    for job in hers:
        ended(client, job)
    assert ended(client, his, BOB)["state"] == "completed"
    assert in_order(queue, *hers, his)[:2] == [hers[0]["id"], his["id"]]


def test_more_requests_than_may_be_open_are_refused_with_a_time_to_come_again(queue, client, busy):
    streams = []
    with busy():
        body = {**queue.ask(ENDLESS), "stream": True}
        for _ in range(3):
            streams.append(
                threading.Thread(
                    target=client.post,
                    args=("/v1/chat/completions",),
                    kwargs={"json": queue.ask({"text": "x"})},
                )
            )
            streams[-1].start()
        wait_for(lambda: queue.redis().zcard("inference:slots") == 3)
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 503
        error = answer.json()["error"]
        assert (error["code"], error["type"]) == ("QUEUE_FULL", "retriable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert int(answer.headers["X-Queue-Position"]) == 4
    for stream in streams:
        stream.join(30)
    assert queue.redis().zcard("inference:slots") == 0


def test_an_answer_that_had_to_queue_says_so(queue, client, busy):
    direct = client.post("/v1/chat/completions", json=queue.ask({"text": "x"}))
    assert "X-Queue-Position" not in direct.headers
    answers = []
    with busy():
        asking = threading.Thread(
            target=lambda: answers.append(
                client.post("/v1/chat/completions", json=queue.ask({"text": "x"}))
            )
        )
        asking.start()
        wait_for(lambda: queue.redis().zcard("inference:waiting:smollm2-135m"))
    asking.join(30)
    assert answers[0].status_code == 200
    assert answers[0].headers["X-Queue-Position"] == "1"


def test_more_jobs_than_may_wait_are_refused(queue, client, busy):
    with busy():
        waiting = [submit(queue, client, {"text": "x"}) for _ in range(8)]
        answer = client.post("/v1/jobs", json=queue.ask("x"))
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "QUEUE_FULL"
    for job in waiting:
        assert ended(client, job)["state"] == "completed"


def test_a_job_past_its_deadline_expires_and_never_runs(queue, client, busy):
    with busy():
        late = submit(queue, client, {"text": "never"}, deadline_s=0.5)
        expired = ended(client, late)
        assert expired["state"] == "expired"
        assert expired["error"]["code"] == "JOB_EXPIRED"
        assert expired["attempt"] == 0
        assert expired["deadline"] >= expired["created"]


def test_a_running_job_is_stopped_by_its_deadline(queue, client):
    running = submit(queue, client, ENDLESS, deadline_s=1.5)
    wait_for(lambda: state(client, running) == "running")
    assert ended(client, running)["state"] == "expired"
    begun = time.monotonic()
    assert client.post("/v1/chat/completions", json=queue.ask({"text": "x"})).status_code == 200
    assert time.monotonic() - begun < 1  # its place was free at once


def test_a_job_that_cannot_make_its_deadline_is_refused(queue, client, busy):
    slow = {"text": "one two", "tokens_per_s": 2}
    ended(client, submit(queue, client, slow))
    ended(client, submit(queue, client, slow))  # now the pace is known
    with busy():
        answer = client.post("/v1/jobs", json=queue.ask("x", deadline_s=0.01))
        assert answer.status_code == 503
        error = answer.json()["error"]
        assert error["code"] == "DEADLINE_UNREACHABLE"
        assert error["details"]["estimated_wait_s"] > 0.01
        taken = submit(queue, client, {"text": "x"}, deadline_s=600)
        assert 0 < taken["estimated_wait_s"] < 600
        client.delete(taken["status_url"])


@pytest.mark.parametrize("deadline_s", [0, -1, "soon", 10**9])
def test_a_deadline_in_the_past_is_422(queue, client, deadline_s):
    answer = client.post("/v1/jobs", json=queue.ask("x", deadline_s=deadline_s))
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["param"] == "deadline_s"


def test_the_same_key_and_body_is_one_job(queue, client):
    body = queue.ask({"text": "once"})
    headers = {"Idempotency-Key": "job-1"}
    first = client.post("/v1/jobs", json=body, headers=headers)
    again = client.post("/v1/jobs", json=body, headers=headers)
    assert again.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    other = client.post("/v1/jobs", json=queue.ask({"text": "twice"}), headers=headers)
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "IDEMPOTENCY_CONFLICT"
    bobs = client.post("/v1/jobs", json=body, headers={**headers, **BOB})
    assert bobs.json()["id"] != first.json()["id"]


def test_a_completion_with_a_key_outlives_its_client(queue, client):
    """Whoever asks again under the key gets the whole of the answer that was begun."""
    body = queue.ask({"text": "one two three four five six", "tokens_per_s": 5}, stream=True)
    headers = {"Idempotency-Key": "chat-1"}
    with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        assert "Idempotent-Replayed" not in answer.headers
        first = next(line for line in answer.iter_lines() if "content" in line)
    job_id = json.loads(first.removeprefix("data: "))["id"]
    again = client.post("/v1/chat/completions", json=body, headers=headers)
    assert again.headers["Idempotent-Replayed"] == "true"
    frames = [line[6:] for line in again.text.splitlines() if line.startswith("data: ")]
    assert frames[-1] == "[DONE]"
    parsed = [json.loads(frame) for frame in frames[:-1]]
    assert {frame["id"] for frame in parsed} == {job_id}
    text = "".join(
        choice["delta"].get("content", "") for frame in parsed for choice in frame["choices"]
    )
    assert text == "one two three four five six"
    conflict = client.post("/v1/chat/completions", json=queue.ask("else"), headers=headers)
    assert conflict.status_code == 409


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_422(queue, client, key):
    answer = client.post("/v1/jobs", json=queue.ask("x"), headers={"Idempotency-Key": key})
    assert answer.status_code == 422


def test_a_webhook_without_a_secret_is_refused(queue, client):
    answer = client.post("/v1/jobs", json=queue.ask("x", webhook="https://example.com/"))
    assert answer.status_code == 422
    assert "INFERENCE_WEBHOOK_SECRET" in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["webhook", "deadline_s"])
def test_what_only_jobs_have_is_refused_elsewhere(queue, client, name):
    answer = client.post("/v1/chat/completions", json=queue.ask("x", **{name: 5}))
    assert answer.status_code == 400
    assert "/v1/jobs" in answer.json()["error"]["message"]


def test_100_clients_leave_and_every_slot_is_free(tmp_path):
    environment = {
        "INFERENCE_BACKEND": "scripted",
        "INFERENCE_MAX_CONCURRENT_PER_MODEL": "100",
        "INFERENCE_MAX_CONCURRENT_REQUESTS": "100",
    }
    with Service(tmp_path / "many", **environment) as many:
        streams = [many.open_stream(many.ask(ENDLESS)) for _ in range(100)]
        for stream in streams:
            stream.await_content()
        redis = many.redis()
        assert redis.zcard("inference:slots") == 100
        assert many.post(many.ask("x")).status_code == 503
        for stream in streams:
            stream.close()
        wait_for(lambda: redis.zcard("inference:slots") == 0, 5)
        wait_for(lambda: redis.scard("inference:running:smollm2-135m") == 0, 5)
        assert many.post(many.ask({"text": "x"})).status_code == 200


def test_a_full_service_that_does_not_refuse_lets_wait(tmp_path):
    environment = {
        "INFERENCE_BACKEND": "scripted",
        "INFERENCE_MAX_CONCURRENT_PER_MODEL": "4",
        "INFERENCE_MAX_CONCURRENT_REQUESTS": "1",
        "INFERENCE_REJECT_WHEN_FULL": "false",
    }
    with Service(tmp_path / "patient", **environment) as patient:
        redis = patient.redis()
        with patient.open_stream(patient.ask(ENDLESS)) as first:
            first.await_content()
            with patient.open_stream(patient.ask(ENDLESS)) as leaver:
                answers = []
                waiting = threading.Thread(
                    target=lambda: answers.append(patient.post(patient.ask({"text": "x"})))
                )
                waiting.start()
                leaver.close()
            assert redis.zcard("inference:slots") == 1
        waiting.join(30)
        assert answers[0].status_code == 200
        wait_for(lambda: redis.zcard("inference:slots") == 0, 5)
