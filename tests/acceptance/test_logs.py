"""What the logs tell, and what they never do."""

import contextlib
import json

import httpx
import pytest

from tests.support.front_end import MODEL
from tests.support.jobs import await_end
from tests.support.service_fixture import SCRIPTED, service_fixture
from tests.support.valkey import everything
from tests.support.waiting import wait_for
from tests.support.websocket import Socket

SECRET = "the-pin-of-my-card-is-0815"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


logging_service = service_fixture(
    "Its logs are JSON, and as long as they can be.",
    INFERENCE_LOG_FORMAT="json",
    INFERENCE_LOG_LEVEL="DEBUG",
    **SCRIPTED,
)


def lines(service, name):
    file = service.data_dir / "logs" / f"{name}.log"
    return [json.loads(line) for line in file.read_text().splitlines() if line.startswith("{")]


@pytest.fixture
def answered(logging_service):
    body = logging_service.ask({"text": SECRET})
    answer = logging_service.post(body, headers={"X-Request-ID": "req-4711"})
    assert answer.status_code == 200
    assert answer.headers["X-Request-ID"] == "req-4711"
    return answer.json()


@pytest.mark.parametrize("process", ["web", f"worker-{MODEL}"])
def test_a_request_is_found_in_every_process_that_served_it(logging_service, answered, process):
    def lines_of_job():
        of_job = lines(logging_service, process)
        return [line for line in of_job if line.get("job_id") == answered["id"]]

    of_job = wait_for(lines_of_job)
    assert {line["request_id"] for line in of_job} == {"req-4711"}
    assert {line["model"] for line in of_job} == {MODEL}


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_has_one_line_with_its_timings_and_is_found_by_its_ids(logging_service, stream):
    name = f"req-line-{stream}"
    headers = {"X-Request-ID": name, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    body = {**logging_service.ask({"text": "one two"}), "stream": stream}
    assert logging_service.post(body, headers=headers).status_code == 200

    def access_lines():
        return [
            line
            for line in lines(logging_service, "web")
            if line.get("request_id") == name and line["logger"] == "web.live.request_log"
        ]

    (line,) = wait_for(access_lines)
    assert line["message"].startswith("POST /v1/chat/completions 200, ")
    assert line["trace_id"] == TRACE
    assert line["completion_tokens"] == 2
    assert {"first_token_ms", "queued_ms", "template_ms", "prefill_ms", "decode_ms"} <= set(line)
    for wanted in (line["job_id"], name):
        found = logging_service.run("logs", "--id", wanted).stdout
        assert all(each in found for each in (f"worker-{MODEL} | ", "POST /v1/chat/completions"))
    assert logging_service.run("logs", "--id", TRACE, "web").stdout.count(TRACE) >= 1
    assert logging_service.run("logs", "--id", "nothing-has-this").stdout == ""


def requests(service):
    """Requests that have the secret wherever a text can stand; most of them are wrong."""
    message = {"role": "user", "content": SECRET}
    right = {"model": MODEL, "messages": [message]}
    schema = {"type": "object", "properties": {SECRET: {"type": SECRET}}}
    yield right
    yield service.ask({SECRET: 1})
    yield service.ask({"text": SECRET, "fail_after": 1})
    yield service.ask({"text": SECRET, "delay_s": SECRET})
    yield {**right, "messages": [{**message, "role": SECRET}]}
    yield {**right, "messages": [{**message, SECRET: SECRET}]}
    yield {**right, "temperature": SECRET}
    yield {**right, "stop": [SECRET] * 99}
    yield {**right, SECRET: SECRET}
    yield {**right, "tools": [{"type": "function", "function": {"name": SECRET}}]}
    yield {**right, "task_type": SECRET}
    yield {**right, "user": SECRET}
    for form in ({"type": SECRET}, {"type": "json_schema", "json_schema": {"schema": schema}}):
        yield {**right, "response_format": form}


def test_no_text_of_a_caller_is_logged(logging_service, answered):
    for body in requests(logging_service):
        for stream in (False, True):
            answer = logging_service.post({**body, "stream": stream})
            assert answer.status_code != 500 or "ENGINE_FAILED" in answer.text
        taken = httpx.post(f"{logging_service.url}/v1/jobs", json=body, timeout=30)
        if taken.status_code == 202:
            await_end(logging_service, taken.json()["id"])
    broken = f'{{"messages": "{SECRET}'.encode()
    url = f"{logging_service.url}/v1/chat/completions"
    headers = {"Content-Type": "application/json", "X-Request-ID": "the-last"}
    assert httpx.post(url, content=broken, headers=headers, timeout=30).status_code == 400
    with contextlib.closing(Socket(logging_service, "/v1/ws/chat")) as socket:
        socket.say({"type": "chat", **logging_service.ask({"text": SECRET})})
        assert SECRET in json.dumps(socket.rest())

    def last_is_logged():
        return any(line.get("request_id") == "the-last" for line in lines(logging_service, "web"))

    wait_for(last_is_logged)
    for file in (logging_service.data_dir / "logs").iterdir():
        assert SECRET not in file.read_text(), file


def test_no_request_stays_in_redis_once_its_job_has_ended(logging_service):
    body = logging_service.ask({"text": "fine"})
    large = {"role": "assistant", "content": "", "reasoning_content": SECRET * 50_000}
    body["messages"].insert(0, large)
    taken = httpx.post(f"{logging_service.url}/v1/jobs", json=body, timeout=30).json()
    assert await_end(logging_service, taken["id"])["state"] == "completed"
    with logging_service.redis() as redis:
        assert taken["id"] in everything(redis)
        assert "reasoning_content" not in everything(redis)
        for kind in ("slow", "large-request", "large-reply"):
            assert redis.execute_command("COMMANDLOG", "LEN", kind) == 0


@pytest.mark.parametrize("given", ["x" * 200, "a b", "é"])
def test_an_id_that_could_forge_a_line_is_replaced(logging_service, given):
    answer = logging_service.get("/health", {"X-Request-ID": given.encode()})
    assert answer.headers["X-Request-ID"] != given
    assert len(answer.headers["X-Request-ID"]) == 32
