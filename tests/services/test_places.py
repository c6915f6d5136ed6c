"""Who runs when: places that leaving clients free, priorities, many at once."""

import queue
import threading

import httpx

from tests.support.front_end import MODEL, OpenStream
from tests.support.service import Service
from tests.support.waiting import wait_for
from workers.contract import keys

ENDLESS = {"repeat": True, "tokens_per_s": 50}
SHORT = {"text": "done"}
#: A client that leaves is found within half a second; the rest is one short answer.
FREED_WITHIN_S = 5.0


def waiting(service):
    """How many steps wait for a worker."""
    with service.redis() as redis:
        return redis.zcard(keys.waiting(MODEL))


def test_a_reader_that_leaves_frees_its_place(narrow_service):
    with narrow_service.open_stream(narrow_service.ask(ENDLESS)) as stream:
        stream.await_content()
    answer = narrow_service.post(narrow_service.ask(SHORT), timeout=FREED_WITHIN_S)
    assert answer.status_code == 200


def test_a_caller_that_leaves_before_its_plain_answer_frees_its_place(narrow_service):
    with OpenStream(narrow_service.port, narrow_service.ask(ENDLESS)) as plain:
        with narrow_service.redis() as redis:
            wait_for(lambda: redis.zcard(keys.LEASES) == 1)
        plain.close()
    answer = narrow_service.post(narrow_service.ask(SHORT), timeout=FREED_WITHIN_S)
    assert answer.status_code == 200


def test_a_caller_that_leaves_while_it_waits_never_runs(narrow_service):
    with narrow_service.open_stream(narrow_service.ask(ENDLESS)) as first:
        first.await_content()
        with narrow_service.open_stream(narrow_service.ask(ENDLESS)):
            wait_for(lambda: waiting(narrow_service) == 1)
        wait_for(lambda: waiting(narrow_service) == 0)
    answer = narrow_service.post(narrow_service.ask(SHORT), timeout=FREED_WITHIN_S)
    assert answer.status_code == 200


def test_the_urgent_go_first(narrow_service):
    """While one answer runs six others queue; they run by priority, then by age."""
    ids = {}
    asked = [("low-1", 1), ("normal-1", 2), ("high-1", 3), ("low-2", 1), ("high-2", 3)]
    asked.append(("normal-2", 2))
    with narrow_service.open_stream(narrow_service.ask(ENDLESS)) as blocking:
        blocking.await_content()
        for name, priority in asked:
            body = narrow_service.ask({"text": name}, priority=priority)
            answer = httpx.post(f"{narrow_service.url}/v1/jobs", json=body, timeout=30)
            ids[name] = answer.json()["id"]
        assert waiting(narrow_service) == len(asked)

    with narrow_service.redis() as redis:

        def ended_ms(name):
            return int(redis.hget(keys.job(ids[name]), "ended_ms") or 0)

        wait_for(lambda: all(map(ended_ms, ids)), 20)
        order = sorted(ids, key=ended_ms)
    assert order == ["high-1", "high-2", "normal-1", "normal-2", "low-1", "low-2"]


def test_200_streams_at_once_and_none_is_lost(tmp_path):
    environment = {"INFERENCE_BACKEND": "scripted", "INFERENCE_MAX_CONCURRENT_PER_MODEL": "200"}
    expected = "one two three four five " * 4
    answers = queue.SimpleQueue()

    def read(service, body):
        with service.open_stream(body) as stream:
            answers.put("".join(stream.contents()))

    with Service(tmp_path, **environment) as service:
        script = {"text": expected, "tokens_per_s": 1}
        threads = [
            threading.Thread(target=read, args=(service, service.ask(script))) for _ in range(200)
        ]
        for thread in threads:
            thread.start()
        with service.redis() as redis:
            wait_for(lambda: redis.zcard(keys.LEASES) == 200, within_s=20)
        assert service.get("/health").status_code == 200
        for thread in threads:
            thread.join(60)
    texts = [answers.get_nowait() for _ in range(200)]
    assert texts == [expected] * 200
