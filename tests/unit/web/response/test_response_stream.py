"""Responses as typed events, and whole: both follow from the job's log alone."""

import contextlib
import json
from dataclasses import replace

import pytest

from web.render.response import input_items, response_events, response_stream
from web.render.response.response_stream import ResponseStream
from workers.contract.errors import EngineFailed, RequestTimeout
from workers.contract.events import Cancelled, Completed, Failed, Queued, Started, Token
from workers.contract.job import Job, Message
from workers.contract.sampling import Sampling
from workers.contract.step import Outcome, Timings, Usage
from workers.contract.tools import CallPart

SHOWN = {"background": True, "instructions": "Be brief.", "tools": []}
MESSAGES = (
    Message("system", "Be brief."),
    Message("user", "Hi"),
    Message(
        "assistant",
        "I look.",
        tool_calls=({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},),
    ),
    Message("tool", "x", tool_call_id="c"),
)
JOB = Job("resp_1", "m", MESSAGES, 7, Sampling(max_tokens=9), response=SHOWN, store=True)
OUTCOME = Outcome("answer", "m", 1, "stop", Usage(12, 9, 4, 2), Timings(), 2048)
EVENTS = [
    Queued(1),
    Started(2, "answer", 1, "m"),
    Token(3, "answer", 1, (1,), "", "I lo"),
    Token(4, "answer", 1, (2,), "Wa", "ok."),
    Started(5, "answer", 2, "m"),
    Token(6, "answer", 2, (3,), "it.", calls=(CallPart(0, "call_1", "go", '{"a"'),)),
    Token(7, "answer", 2, (4,), "", calls=(CallPart(0, arguments=": 1}"),)),
    Completed(8, OUTCOME),
]


def bodies_of(events, job=JOB):
    stream = ResponseStream(job)
    return [*stream.begin(), *(body for event in events for body in stream.of(event))]


def test_events_are_numbered_in_their_order_and_tell_each_item_to_its_end():
    bodies = bodies_of(EVENTS)
    assert [body["sequence_number"] for body in bodies] == [*range(len(bodies))]
    names = [body["type"].removeprefix("response.") for body in bodies]
    assert names == [
        "created",
        "queued",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [body["output_index"] for body in bodies[3:-1]] == [0] * 7 + [1] * 7 + [2] * 5
    assert bodies[7]["text"] == "I look."
    assert bodies[14]["text"] == "Wait."
    assert bodies[20]["arguments"] == '{"a": 1}'
    assert bodies[-1]["response"] == response_stream.whole(JOB, EVENTS)


def test_a_whole_response():
    whole = response_stream.whole(JOB, EVENTS)
    assert whole["status"] == "completed"
    assert whole["instructions"] == "Be brief."
    assert whole["usage"]["input_tokens_details"]["cached_tokens"] == 4
    assert [(item["id"], item["type"], item["status"]) for item in whole["output"]] == [
        ("rs_1_0", "reasoning", "completed"),
        ("msg_1_1", "message", "completed"),
        ("fc_1_2", "function_call", "completed"),
    ]
    assert whole["output"][2]["call_id"] == "call_1"
    assert whole["output"][1]["content"][0]["text"] == "Wait."


@pytest.mark.parametrize("most", range(len(EVENTS)))
def test_whoever_reads_again_sees_the_same_events(most):
    """What a reader saw before the log went on is the beginning of what all see."""
    before = bodies_of(EVENTS[:most])
    assert bodies_of(EVENTS)[: len(before)] == before


@pytest.mark.parametrize(
    ("end", "status", "kind"),
    [
        (Completed(8, replace(OUTCOME, finish_reason="length")), "incomplete", "incomplete"),
        (Failed(8, EngineFailed("it broke").to_dict()), "failed", "failed"),
        (Cancelled(8, "its caller cancelled it"), "cancelled", "incomplete"),
    ],
)
def test_other_ends(end, status, kind):
    last = bodies_of([*EVENTS[:4], end])[-1]
    assert last["type"] == f"response.{kind}"
    response = last["response"]
    assert response["status"] == status
    assert response["output"][-1]["status"] == "incomplete"
    if status == "failed":
        assert response["error"] == {"code": "ENGINE_FAILED", "message": "it broke"}
    if isinstance(end, Completed):
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}


def test_what_only_its_reader_meets_is_no_event_of_the_response():
    stream = ResponseStream(JOB)
    last = [*stream.begin(), *stream.of(EVENTS[1])][-1]
    (error,) = stream.failure(RequestTimeout("too late"))
    assert (error["type"], error["code"]) == ("error", "REQUEST_TIMEOUT")
    assert error["sequence_number"] == last["sequence_number"]
    assert not stream.ended


class ReaderThatEnds:
    """Gives out what it was given; then it is `gone`, `stopped`, or left."""

    def __init__(self, events, end):
        self._batches = [events, []]
        self.gone, self.stopped = end == "gone", end == "stopped"

    def put(self, raw):
        pass

    def batch(self, timeout_s):
        return self._batches.pop(0)


@pytest.mark.parametrize(
    ("end", "code"),
    [("gone", "JOB_NOT_FOUND"), ("stopped", "FRONT_END_STOPPING"), ("left", None)],
)
def test_a_reader_is_told_why_its_stream_ends_early(end, code):
    reader = ReaderThatEnds(EVENTS[:2], end)
    response = response_events.respond(JOB, reader, contextlib.ExitStack(), -1)
    frames = response.get_data(as_text=True).split("\n\n")[:-1]
    last = json.loads(frames[-1].partition("data: ")[2])
    if code is None:
        assert last["type"] == "response.in_progress"
    else:
        assert (last["type"], last["code"], last["sequence_number"]) == ("error", code, 2)


def test_a_reader_that_saw_the_end_is_told_nothing_more():
    reader = ReaderThatEnds(EVENTS, "gone")
    response = response_events.respond(JOB, reader, contextlib.ExitStack(), -1)
    assert response.get_data(as_text=True).count("event: error") == 0


def test_one_that_its_caller_waits_for_is_never_queued():
    job = replace(JOB, response={**SHOWN, "background": False})
    assert [body["type"] for body in bodies_of(EVENTS[:3], job)][:3] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
    ]


def test_what_it_was_asked_is_kept_where_it_is_stored():
    items = input_items.of_job(JOB.without_request())
    assert [(item["type"], item.get("role")) for item in items] == [
        ("message", "user"),
        ("message", "assistant"),
        ("function_call", None),
        ("function_call_output", None),
    ]
    assert items[0]["content"] == [{"type": "input_text", "text": "Hi"}]
    silent = replace(JOB, messages=(MESSAGES[0], replace(MESSAGES[2], content="")))
    assert [item["type"] for item in input_items.of_job(silent)] == ["function_call"]
    kept = replace(JOB, store=False).without_request()
    assert (kept.messages, kept.response) == ((), None)
    assert Job.from_dict(JOB.without_request().to_dict()).messages == MESSAGES
