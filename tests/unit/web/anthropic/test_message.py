"""Answers as messages of Anthropic's API, whole and as a stream."""

import json
from dataclasses import replace

import pytest

from web.errors import STATUS, body_at, status_at
from web.render.anthropic import message
from web.render.anthropic.message_stream import MessageStream
from workers.contract.errors import BY_CODE, ContextBudgetExceeded, QueueFull
from workers.contract.events import Completed, Failed, Token
from workers.contract.job import Job
from workers.contract.sampling import Sampling
from workers.contract.step import Outcome, Timings, Usage
from workers.contract.tools import CallPart

JOB = Job("chatcmpl-1", "m", (), 1, Sampling(max_tokens=9))
OUTCOME = Outcome("answer", "m", 1, "stop", Usage(12, 9, 4, 2), Timings(), 2048)
TOKENS = [
    Token(3, "answer", 1, (1,), "", "I lo"),
    Token(4, "answer", 1, (2,), "Wa", "ok."),
    Token(5, "answer", 1, (3,), "it.", calls=(CallPart(0, "call_1", "Read", '{"a"'),)),
    Token(6, "answer", 1, (4,), "", calls=(CallPart(0, arguments=": 1}"), CallPart(1, "c2", "Go"))),
]
CALLED = Completed(7, replace(OUTCOME, finish_reason="tool_calls"))


def test_a_whole_message():
    whole = message.whole(JOB, [*TOKENS, CALLED])
    assert whole["content"] == [
        {"type": "thinking", "thinking": "I look.", "signature": message.SIGNATURE},
        {"type": "text", "text": "Wait."},
        {"type": "tool_use", "id": "call_1", "name": "Read", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "Go", "input": {}},
    ]
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("tool_use", None)
    assert whole["usage"] == {
        "input_tokens": 8,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 2},
        "service_tier": "standard",
    }


def stream_of(events, **options):
    stream = MessageStream(JOB, **options)
    return [*stream.begin(), *(body for event in events for body in stream.of(event))]


def test_a_stream_has_one_block_after_the_other():
    bodies = stream_of([*TOKENS, CALLED])
    told = [
        (body["type"], body.get("index"), body.get("delta", body.get("content_block", {})))
        for body in bodies
    ]
    start, delta, stop = "content_block_start", "content_block_delta", "content_block_stop"
    assert told == [
        ("message_start", None, {}),
        (start, 0, {"type": "thinking", "thinking": "", "signature": ""}),
        (delta, 0, {"type": "thinking_delta", "thinking": "I lo"}),
        (delta, 0, {"type": "thinking_delta", "thinking": "ok."}),
        (delta, 0, {"type": "signature_delta", "signature": message.SIGNATURE}),
        (stop, 0, {}),
        (start, 1, {"type": "text", "text": ""}),
        (delta, 1, {"type": "text_delta", "text": "Wa"}),
        (delta, 1, {"type": "text_delta", "text": "it."}),
        (stop, 1, {}),
        (start, 2, {"type": "tool_use", "id": "call_1", "name": "Read", "input": {}}),
        (delta, 2, {"type": "input_json_delta", "partial_json": '{"a"'}),
        (delta, 2, {"type": "input_json_delta", "partial_json": ": 1}"}),
        (stop, 2, {}),
        (start, 3, {"type": "tool_use", "id": "c2", "name": "Go", "input": {}}),
        (stop, 3, {}),
        ("message_delta", None, {"stop_reason": "tool_use", "stop_sequence": None}),
        ("message_stop", None, {}),
    ]
    assert bodies[-2]["usage"]["output_tokens"] == 9


def test_thoughts_are_left_out_where_that_is_asked_for():
    kinds = {
        body.get("content_block", {}).get("type")
        for body in stream_of(TOKENS, shows_thoughts=False)
    }
    assert "thinking" not in kinds
    assert (
        message.whole(JOB, [*TOKENS, CALLED], shows_thoughts=False)["content"][0]["type"] == "text"
    )


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (OUTCOME, "end_turn"),
        (replace(OUTCOME, stop="END"), "stop_sequence"),
        (replace(OUTCOME, finish_reason="length"), "max_tokens"),
        (
            replace(OUTCOME, finish_reason="length", usage=Usage(2040, 8)),
            "model_context_window_exceeded",
        ),
    ],
)
def test_why_it_stopped(outcome, reason):
    assert message.stop(JOB, outcome) == {"stop_reason": reason, "stop_sequence": outcome.stop}


def test_what_came_with_a_failure_stands_after_the_beginning():
    """Tokens and the failure may come together, before anything was begun."""
    stream = MessageStream(JOB)
    assert stream.of(Failed(2, QueueFull().to_dict())) == []
    kinds = [body["type"] for token in TOKENS[2:] for body in stream.of(token)]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds.count("message_start") == 1


def test_a_failure_is_an_event_of_its_type():
    stream = MessageStream(JOB, request_id="r")
    (body,) = stream.failure(QueueFull())
    assert body["error"]["type"] == "overloaded_error"
    frame = stream.frame(3, body).decode()
    assert frame.startswith("id: 3\nevent: error\ndata: ")
    assert json.loads(frame.partition("data: ")[2])["request_id"] == "r"


def test_every_error_has_a_status_and_a_type_there():
    types = {
        code: (status_at("/v1/messages", kind()), body_at("/v1/messages", kind())["error"]["type"])
        for code, kind in BY_CODE.items()
    }
    assert types["UNAUTHORIZED"] == (401, "authentication_error")
    assert types["VALIDATION_ERROR"] == (400, "invalid_request_error")
    assert types["PAYLOAD_TOO_LARGE"] == (413, "request_too_large")
    assert types["RATE_LIMITED"] == (429, "rate_limit_error")
    assert types["NO_WORKER"] == (529, "overloaded_error")
    assert types["INTERNAL"] == (500, "api_error")
    assert types["NOT_SUPPORTED"] == (404, "not_found_error")
    assert {*types} == {*STATUS}
    assert status_at("/v1/messagesX", QueueFull()) == 503


def test_a_prompt_that_is_too_long_is_told_in_the_words_that_agents_know():
    said = body_at("/v1/messages", ContextBudgetExceeded("9 of 8"))["error"]["message"]
    assert said == "prompt is too long: 9 of 8"
