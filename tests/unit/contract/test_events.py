import json

import pytest

from workers.contract import events
from workers.contract.errors import WorkerLost
from workers.contract.step import Outcome, Timings, Usage
from workers.contract.tools import CallPart

OUTCOME = Outcome("answer", "m", 1, "stop", Usage(3, 4), Timings(), 2048)


@pytest.mark.parametrize(
    "event",
    [
        events.Queued(3),
        events.Started(3, "answer", 1, "m"),
        events.Token(3, "answer", 1, (5, 6), "é🦊"),
        events.Token(3, "answer", 1, (5, 6), "so", "é🦊"),
        events.Token(3, "answer", 1, (5,), "", calls=(CallPart(0, "call_1", "f"), CallPart(0))),
        events.Token(
            3, "answer", 1, (5, 6), "", logprobs=((5, "\xf0", -1.5), ()), content_tokens=(2,)
        ),
        events.StepFinished(3, OUTCOME),
        events.Heartbeat(3),
        events.Completed(3, OUTCOME),
        events.Failed(3, WorkerLost().to_dict()),
        events.Cancelled(3, "client left"),
    ],
)
def test_an_event_survives_the_log(event):
    body = json.loads(events.encode(event))
    assert "seq" not in body

    assert events.decode(json.dumps({"seq": 3, **body}).encode()) == event


def test_a_failure_can_be_raised_again():
    failed = events.Failed(1, WorkerLost(details={"step": "answer"}, retry_after_ms=5).to_dict())

    error = failed.exception()

    assert isinstance(error, WorkerLost)
    assert (error.details, error.retry_after_ms) == ({"step": "answer"}, 5)


def test_a_quoted_lone_surrogate_does_not_stop_the_log():
    assert b"?" in events.encode(events.Cancelled(1, "\ud800"))


def test_without_a_thought_a_token_does_not_speak_of_one():
    assert "reasoning" not in events.Token(1, "answer", 1, (5,), "so").payload()
    assert "logprobs" not in events.Token(1, "answer", 1, (5,), "so").payload()
    assert "calls" not in events.Token(1, "answer", 1, (5,), "so").payload()
    assert events.Token(1, "answer", 1, (5,), "", "so").payload()["reasoning"] == "so"


def test_a_field_that_only_a_newer_version_knows_is_ignored():
    body = {"seq": 2, **events.Started(0, "answer", 1, "m").payload(), "host": "h"}
    assert events.decode(json.dumps(body).encode()) == events.Started(2, "answer", 1, "m")


def test_an_event_of_a_newer_type_keeps_its_number_and_its_body():
    stored = b'{"seq":7,"type":"paused","step":"answer","why":{"code":"X"}}'

    event = events.decode(stored)

    assert (event.seq, event.payload()) == (
        7,
        {"type": "paused", "step": "answer", "why": {"code": "X"}},
    )
    assert not isinstance(event, events.TERMINAL)
    assert b'"seq":7,' + events.encode(event)[1:] == stored[1:]
