"""`GET /metrics` of a running service: what it counts is what was asked."""

import json
import operator

import httpx
import pytest

from tests.support.front_end import MODEL
from tests.support.jobs import ENDLESS, await_end, submit
from tests.support.metrics import scrape
from tests.support.waiting import wait_for

TEXT = {"text": "one two three four", "tokens_per_s": 200}
GEN_AI = {"gen_ai_operation_name": "chat", "gen_ai_request_model": MODEL}
#: What is counted is shown within this.
TOLD_WITHIN_S = 30


@pytest.fixture
def before(scripted_service):
    """A scrape with all that was counted before: each process has told a count of its own since."""
    marks = (
        ("inference_requests_total", {"route": "/v1/completions", "error": "ENGINE_FAILED"}),
        (
            "gen_ai_server_request_duration_seconds_count",
            {"gen_ai_operation_name": "text_completion", "error_type": "ENGINE_FAILED"},
        ),
    )

    def seen():
        found = scrape(scripted_service)
        return [found.value(name, **labels) for name, labels in marks]

    first = seen()
    url = f"{scripted_service.api_url}/completions"
    script = json.dumps({"scripted": {"text": "one", "fail_after": 0}})
    answer = httpx.post(url, json={"model": MODEL, "prompt": script}, timeout=30)
    assert answer.json()["error"]["code"] == "ENGINE_FAILED"
    wait_for(lambda: all(map(operator.gt, seen(), first)), TOLD_WITHIN_S)
    return scrape(scripted_service)


@pytest.fixture
def growth(scripted_service, before):
    """Waits until a sum has grown by so much since the test began, and grows no further."""

    def grown(by, name, **labels):
        def seen():
            now = scrape(scripted_service).value(name, **labels)
            return round(now - before.value(name, **labels), 6)

        wait_for(lambda: seen() >= by, TOLD_WITHIN_S)
        assert seen() == by, (name, labels)

    return grown


def test_counts_are_those_of_the_traffic(scripted_service, growth):
    chat = {"route": "/v1/chat/completions", "method": "POST"}
    for _ in range(2):
        assert scripted_service.post(scripted_service.ask(TEXT)).status_code == 200
    with scripted_service.open_stream(scripted_service.ask(TEXT)) as stream:
        assert list(stream.events())[-1] == "[DONE]"
    failing = {**TEXT, "fail_after": 2, "fail_with": "ENGINE_FAILED"}
    with scripted_service.open_stream(scripted_service.ask(failing)) as stream:
        assert "ENGINE_FAILED" in list(stream.events())[-1]
    assert scripted_service.post(scripted_service.ask(TEXT, model="nobody")).status_code == 404
    answered = {**chat, "model": MODEL, "mode": "single", "code": "200"}
    growth(3, "inference_requests_total", **answered, error="")
    growth(1, "inference_requests_total", **answered, error="ENGINE_FAILED")
    growth(1, "inference_requests_total", **chat, model="unknown", code="404")
    growth(3, "inference_steps_total", model=MODEL, mode="single", outcome="stop")
    growth(1, "inference_steps_total", model=MODEL, mode="single", outcome="error")
    growth(12, "inference_tokens_total", model=MODEL, type="output")
    growth(4, "gen_ai_server_time_to_first_token_seconds_count", **GEN_AI)
    growth(3, "gen_ai_server_request_duration_seconds_count", **GEN_AI, error_type="")
    growth(4, "inference_queue_wait_seconds_count", model=MODEL, priority="normal")


def test_a_stream_whose_caller_leaves_is_counted_and_its_rows_are_seen(scripted_service, growth):
    with scripted_service.open_stream(scripted_service.ask(ENDLESS)) as stream:
        stream.await_content()
        wait_for(
            lambda: scrape(scripted_service).value("inference_batch_rows", model=MODEL) == 1,
            TOLD_WITHIN_S,
        )
        assert scrape(scripted_service).value("inference_running_steps", model=MODEL) == 1
    growth(1, "inference_steps_total", model=MODEL, outcome="cancelled")
    growth(1, "inference_requests_total", route="/v1/chat/completions", code="200")


def test_a_job_and_its_webhook_are_counted(scripted_service, growth, receiver):
    made = submit(scripted_service, TEXT, webhook=receiver.url)
    await_end(scripted_service, made["id"])
    growth(1, "inference_requests_total", route="/v1/jobs", method="POST", code="202", model=MODEL)
    growth(1, "inference_webhook_attempts_total", outcome="delivered")


@pytest.mark.usefixtures("before")
def test_addresses_that_there_are_not_make_one_series(scripted_service):
    counted, unknown = "inference_requests_total", {"route": "unknown", "code": "404"}

    def told(at_least):
        now = scrape(scripted_service)  # which is itself counted, from the first one on
        return now if now.value(counted, **unknown) >= at_least else None

    with httpx.Client(base_url=scripted_service.url, timeout=30) as client:
        client.get("/nowhere")
        before = wait_for(lambda: told(1), TOLD_WITHIN_S)
        wait_for(lambda: scrape(scripted_service).value(counted, route="/metrics"), TOLD_WITHIN_S)
        before = scrape(scripted_service)
        for number in range(100):
            assert client.get(f"/nowhere/{number}").status_code == 404
    after = wait_for(lambda: told(before.value(counted, **unknown) + 100), TOLD_WITHIN_S)
    assert len(after.samples) == len(before.samples)
