"""A long conversation with one model, on real processes with the scripted engine."""

import json

from tests.support.jobs import FIRST, LAST, content, deltas
from workers.contract.job import COMPRESS

SAID = dict.fromkeys(("constraints", "open_questions", "evidence", "errors"), ())
#: What shortens says this, the model that answers another text.
SCRIPT = {
    "scripted": {
        "text": json.dumps({**SAID, "decisions": ["It is old."], "context": "It was long."}),
        "steps": {"answer": {"text": "the answer itself"}},
    }
}
#: Words of the old turns: with the answer's part, 3,892, they are more than the window of 8,192.
OLD = 5000


def body(words=OLD, **options):
    return {
        "model": LAST,
        "orchestration_mode": "single",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "old " * words},
            {"role": "assistant", "content": "I see."},
            {"role": "user", "content": json.dumps(SCRIPT)},
        ],
        **options,
    }


def test_old_turns_that_leave_no_room_are_shortened(scripted):
    answer = scripted.post(body(compression=COMPRESS)).json()
    assert content(answer) == "the answer itself"
    orchestration = answer["orchestration"]
    steps = orchestration["steps"]
    assert [(step["step"], step["model"]) for step in steps] == [
        ("compress-history-1-1-2", FIRST),
        ("compress-history-1-2-2", FIRST),
        ("answer", LAST),
    ]
    found = orchestration["compression"]
    assert found["before"] == OLD + 2
    assert found["after"] < 100
    assert (found["passes"], found["model"]) == (1, FIRST)
    assert found["kept"]["decisions"] == 1
    assert answer["inference_metadata"]["compression_applied"] is True
    assert steps[2]["tokens"]["prompt"] < 200
    assert answer["usage"]["prompt_tokens"] == sum(step["tokens"]["prompt"] for step in steps)
    assert steps[2]["plan"]["parts"]["handoff"]["got"] == found["after"]


def test_a_stream_of_it_is_ordinary_deltas(scripted):
    with scripted.open_stream(body(compression=COMPRESS, stream=True)) as stream:
        events = list(stream.events())
    frames = [json.loads(event) for event in events[:-1]]
    assert "".join(deltas(frames)) == "the answer itself"
    assert frames[-1]["orchestration"]["compression"]["passes"] == 1


def test_what_fits_and_what_was_not_asked_for_is_sent_as_it_came(scripted):
    fits = scripted.post(body(200, compression=COMPRESS)).json()
    assert content(fits) == "the answer itself"
    assert "compression" not in fits["orchestration"]
    assert fits["inference_metadata"]["compression_applied"] is False
    asked = scripted.post(body()).json()
    assert asked["usage"]["prompt_tokens"] > OLD
    assert "compression" not in asked["orchestration"]


def test_what_cannot_be_shortened_is_refused_by_name(scripted):
    for options in ({"orchestration_mode": "pipeline"}, {"n": 2}):
        refused = scripted.post(body(compression=COMPRESS, **options))
        assert refused.status_code == 422
        assert refused.json()["error"]["param"] == "compression"
    wrong = scripted.post(body(compression="always"))
    assert wrong.status_code == 422
    assert wrong.json()["error"]["param"] == "compression"


def test_a_last_turn_that_is_too_long_is_refused_with_both_numbers(scripted):
    request = body(compression=COMPRESS)
    request["messages"][-1]["content"] += " why" * 9000
    error = scripted.post(request)
    assert error.status_code == 400
    details = error.json()["error"]["details"]
    assert details["budget"] == 8192
    assert details["current_tokens"] > 14_000
