"""`/v1/messages`: Anthropic's API over HTTP, on the scripted engine."""

import json

import httpx
import pytest

from tests.support.front_end import MODEL

TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {}}}
CALL = '{"name": "get_weather", "arguments": {"city": "Paris"}}'


def ask(service, script, path="/v1/messages", headers=None, **fields):
    content = json.dumps({"scripted": script})
    body = {
        "model": MODEL,
        "max_tokens": 50,
        "messages": [{"role": "user", "content": content}],
        **fields,
    }
    return httpx.post(f"{service.url}{path}", json=body, headers=headers, timeout=60)


def frames(answer):
    """Type and body of each event of a stream."""
    events = []
    for frame in answer.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in frame.split("\n") if line[0] != ":")
        if lines:
            body = json.loads(lines["data"])
            assert lines["event"] == body["type"]
            events.append(body)
    return events


def test_a_message_and_the_stop_sequence_that_ended_it(scripted_service):
    answer = ask(scripted_service, {"text": "one two three"}, stop_sequences=["two", "x"])
    assert answer.status_code == 200
    assert answer.headers["request-id"] == answer.headers["X-Request-ID"]
    message = answer.json()
    assert message["content"] == [{"type": "text", "text": "one "}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "two")
    assert message["usage"]["output_tokens"] > 0
    # The same request as a chat completion: its job is one.
    job = scripted_service.get(f"/v1/jobs/{message['id']}").json()
    assert job["result"]["choices"][0]["message"]["content"] == "one "


def test_a_stream_and_its_failure(scripted_service):
    events = frames(ask(scripted_service, {"text": "one two"}, stream=True))
    assert [event["type"] for event in events[:2]] == ["message_start", "content_block_start"]
    said = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(said) == "one two"
    assert events[-2]["delta"]["stop_reason"] == "end_turn"
    assert events[-2]["usage"]["input_tokens"] > 0
    assert events[-1] == {"type": "message_stop"}

    script = {"text": "one two", "fail_after": 1}
    failed = ask(scripted_service, script, stream=True)
    # A failure that is there with the first token, on a busy machine, is the request's status.
    last = frames(failed)[-1] if failed.status_code == 200 else failed.json()
    assert (last["type"], last["error"]["code"]) == ("error", "ENGINE_FAILED")
    assert last["error"]["type"] == "api_error"


def test_a_loop_of_tools(scripted_service):
    script = {"turns": [{"text": CALL}, {"text": "Sunny."}]}
    first = ask(scripted_service, script, tools=[TOOL]).json()
    assert first["stop_reason"] == "tool_use"
    (call,) = first["content"]
    assert (call["type"], call["name"], call["input"]) == (
        "tool_use",
        "get_weather",
        {"city": "Paris"},
    )
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"}
    said = [
        {"role": "user", "content": json.dumps({"scripted": script})},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [result]},
    ]
    last = ask(scripted_service, script, tools=[TOOL], messages=said).json()
    assert last["content"] == [{"type": "text", "text": "Sunny."}]


def test_a_preset_by_its_name_answers_in_its_mode(scripted_service):
    script = {"text": "fine"}
    message = ask(scripted_service, script, model="preset:demo-consistency").json()
    assert message["orchestration"]["mode"] == "ensemble"
    assert message["inference_metadata"]["config"] == "demo-consistency"
    wrong = ask(scripted_service, script, model="preset:demo-consistent")
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (404, "not_found_error")
    assert "preset:demo-consistency" in wrong.json()["error"]["message"]


def test_tokens_are_counted_as_usage_counts_them(scripted_service):
    script = {"text": "one"}
    fields = {"system": "Be brief.", "tools": [TOOL]}
    path = "/v1/messages/count_tokens"
    counted = ask(scripted_service, script, path, max_tokens=None, **fields)
    assert counted.status_code == 200
    usage = ask(scripted_service, script, **fields).json()["usage"]
    assert counted.json() == {
        "input_tokens": usage["input_tokens"] + usage["cache_read_input_tokens"]
    }
    named = ask(scripted_service, script, path, model="preset:demo-consistency", **fields)
    assert named.json() == counted.json()


@pytest.mark.parametrize(
    ("fields", "headers", "status", "kind", "code"),
    [
        ({"model": "nobody"}, {}, 404, "not_found_error", "MODEL_NOT_FOUND"),
        ({"max_tokens": None}, {}, 400, "invalid_request_error", "VALIDATION_ERROR"),
        ({"mcp_servers": [{}]}, {}, 400, "invalid_request_error", "UNSUPPORTED_PARAMETER"),
        ({}, {"anthropic-version": "1"}, 400, "invalid_request_error", "VALIDATION_ERROR"),
        ({"path": "/v1/messages/batches"}, {}, 404, "not_found_error", "NOT_SUPPORTED"),
    ],
)
def test_errors_have_the_form_of_that_api(scripted_service, fields, headers, status, kind, code):
    answer = ask(scripted_service, {"text": "one"}, headers=headers, **fields)
    assert answer.status_code == status
    body = answer.json()
    assert (body["type"], body["error"]["type"], body["error"]["code"]) == ("error", kind, code)
    assert body["request_id"] == answer.headers["request-id"]


def test_what_changes_nothing_is_named(scripted_service):
    block = {"type": "text", "text": "{}", "cache_control": {"type": "ephemeral"}}
    thinking = {"type": "enabled", "budget_tokens": 1024}
    said = [{"role": "user", "content": [block]}]
    answer = ask(scripted_service, {}, messages=said, thinking=thinking, max_tokens=2000)
    assert answer.status_code == 200
    assert answer.headers["X-Ignored-Parameters"] == "cache_control"
    assert "thinking.budget_tokens" in answer.headers["Warning"]
