"""Calls in answers and chunks, as OpenAI shows them."""

from dataclasses import replace

import pytest

from web.render import openai
from workers.contract.events import Completed, Token
from workers.contract.job import Job
from workers.contract.step import Outcome, Timings, Usage
from workers.contract.tools import CallPart, Tool, Tools, join

OUTCOME = Outcome("answer", "m", 1, "tool_calls", Usage(3, 4), Timings(), 2048)
NEWER = Tools((Tool("weather"),))
OLDER = Tools((Tool("weather"),), parallel=False, as_functions=True)
PARTS = (
    CallPart(0, "call_1", "weather"),
    CallPart(0, arguments='{"place":'),
    CallPart(0, arguments=' "Oslo"}'),
    CallPart(1, "call_2", "time", "{}"),
)


def job(tools=NEWER):
    return Job("chatcmpl-1", "m", (), 1, tools=tools)


def token(*parts, text="", seq=1):
    return Token(seq, "answer", 1, (5,), text, calls=parts)


def choice_of(events, tools=NEWER):
    (choice,) = openai.completion(job(tools), [*events, Completed(9, OUTCOME)])["choices"]
    return choice


def test_pieces_make_whole_calls_and_content_is_null():
    choice = choice_of([token(*PARTS[:2]), token(*PARTS[2:], seq=2)])
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"place": "Oslo"}'},
            },
            {"id": "call_2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
        ],
        "refusal": None,
    }


def test_text_before_a_call_is_content():
    message = choice_of([token(text="I look."), token(*PARTS, seq=2)])["message"]
    assert message["content"] == "I look."
    assert len(message["tool_calls"]) == 2


def test_without_calls_there_is_no_word_of_them():
    message = choice_of([token(text="")])["message"]
    assert message == {"role": "assistant", "content": "", "refusal": None}


def test_an_id_and_a_name_come_once_in_a_stream():
    deltas = [openai.delta(job(), token(part)) for part in PARTS[:2]]
    assert deltas == [
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"place":'}}]},
    ]


def test_pieces_that_were_stored_together_are_one_of_each_call():
    pieces = openai.delta(job(), token(*PARTS))["tool_calls"]
    assert [(piece["index"], piece["function"]["arguments"]) for piece in pieces] == [
        (0, '{"place": "Oslo"}'),
        (1, "{}"),
    ]


def test_the_older_form_has_the_older_words():
    choice = choice_of([token(*PARTS[:3])], OLDER)
    assert choice["finish_reason"] == "function_call"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "function_call": {"name": "weather", "arguments": '{"place": "Oslo"}'},
        "refusal": None,
    }
    assert openai.delta(job(OLDER), token(PARTS[0])) == {
        "function_call": {"name": "weather", "arguments": ""}
    }
    assert (
        openai.last_chunk(job(OLDER), Completed(9, OUTCOME))["choices"][0]["finish_reason"]
        == "function_call"
    )


def test_why_something_is_no_call_is_told():
    noted = replace(OUTCOME, finish_reason="stop", notes=("One is none.", "Two is none."))
    answer = openai.completion(job(), [token(text="x"), Completed(9, noted)])
    assert answer["orchestration"]["note"] == "One is none. Two is none."
    last = openai.last_chunk(job(), Completed(9, noted))
    assert last["orchestration"]["note"] == "One is none. Two is none."
    assert "note" not in openai.last_chunk(job(), Completed(9, OUTCOME))["orchestration"]


def test_a_job_that_has_ended_still_shows_its_form():
    kept = job(OLDER).without_request()
    assert kept.tools == Tools((), as_functions=True)
    assert job(NEWER).without_request().tools is None


@pytest.mark.parametrize("cut", range(1, len(PARTS)))
def test_joining_in_steps_is_joining_at_once(cut):
    assert join((*join(PARTS[:cut]), *join(PARTS[cut:]))) == join(PARTS)
