"""Debates on real processes with the scripted engine: what callers see, and what breaks."""

import json
import os
import signal

import pytest

from tests.support.jobs import (
    FIRST,
    LAST,
    MIDDLE,
    ask,
    await_end,
    await_step,
    chunks,
    content,
    deltas,
    steps_of,
    submit,
)
from tests.support.waiting import wait_for

DEBATE = {"orchestration_mode": "debate"}
MODELS = (LAST, MIDDLE, FIRST)


def script(*rounds, answer="the written answer", **others):
    """What participants say, round for round; what else steps do."""
    said = {
        f"participant-{place}-{number}": text if isinstance(text, dict) else {"text": text}
        for number, texts in enumerate(rounds, start=1)
        for place, text in enumerate(texts, start=1)
    }
    return {"steps": {**said, "answer": {"text": answer}, **others}}


def judged(*groups):
    return {"text": json.dumps({"groups": groups, "agreed": ["It rains."], "conflicts": []})}


STUBBORN = script(["4", "5", "6"], ["4", "5", "6"])
LONG = ["It rains, since it is autumn.", "It is autumn, so there is rain.", "The sun has to shine."]


def test_participants_answer_twice_and_one_writes_what_follows(gathered):
    body = ask(gathered, STUBBORN, **DEBATE)
    assert content(body) == "the written answer"
    assert body["choices"][0]["finish_reason"] == "stop"
    orchestration = body["orchestration"]
    assert steps_of(body) == [
        *((f"participant-{place}-1", "participant", MODELS[place - 1]) for place in (1, 2, 3)),
        *((f"participant-{place}-2", "participant", MODELS[place - 1]) for place in (1, 2, 3)),
        ("answer", "reconciler", LAST),
    ]
    assert orchestration["models_used"][0] == LAST
    assert orchestration["rounds"] == 2
    assert orchestration["confidence"] == orchestration["agreement"]["score"] == 0.333
    counted = [step["tokens"]["completion"] for step in orchestration["steps"]]
    assert body["usage"]["completion_tokens"] == sum(counted) == 9


def test_a_named_model_reconciles(gathered):
    body = ask(gathered, STUBBORN, model=MIDDLE, **DEBATE)
    assert body["model"] == body["orchestration"]["models_used"][0] == MIDDLE
    assert steps_of(body)[-1] == ("answer", "reconciler", MIDDLE)


def test_agreement_ends_it_at_once(gathered):
    body = ask(gathered, script(["4", "It is 4.", "4.0"]), **DEBATE)
    assert content(body) == "4"
    assert body["orchestration"]["confidence"] == 1
    assert len(body["orchestration"]["steps"]) == 3


def test_who_is_convinced_ends_it(gathered):
    body = ask(gathered, script(["4", "5", "6"], ["5", "5", "5"]), **DEBATE)
    assert content(body) == "5"
    assert body["orchestration"]["rounds"] == 2


def test_texts_are_judged(gathered):
    steps = script(LONG, **{"judge-1": judged(1, 1, 1)})
    body = ask(gathered, steps, **DEBATE)
    assert content(body) == "the written answer"
    assert steps_of(body)[3:] == [("judge-1", "judge", LAST), ("answer", "reconciler", LAST)]
    assert body["orchestration"]["agreement"]["method"] == "judge"
    assert body["orchestration"]["agreement"]["agreed"] == ["It rains."]


def test_a_judge_that_goes_on_and_on_is_reported(gathered):
    useless = {"judge-1": {"text": '{"nice": 1}'}, "judge-2": {"text": '{"nice": 1}'}}
    body = ask(gathered, script(LONG, LONG, **useless), **DEBATE)
    assert content(body) == "the written answer"
    assert body["orchestration"]["agreement"]["method"] == "none"
    assert "confidence" not in body["orchestration"]


def test_the_answer_streams_and_steps_are_told_to_those_who_ask(gathered):
    frames = chunks(gathered, STUBBORN, stream_options={"include_steps": True}, **DEBATE)
    assert "".join(deltas(frames)) == "the written answer"
    assert len(deltas(frames)) > 1
    events = [f["orchestration"] for f in frames if not f["choices"] and "orchestration" in f]
    of_rounds = [event["event"] for event in events[:6] if event["event"] != "step_tokens"]
    assert of_rounds.count("step_started") >= 2
    finished = [event["step"] for event in events if event["event"] == "step_finished"]
    assert sorted(finished[:3]) == [f"participant-{place}-1" for place in (1, 2, 3)]
    assert finished[-1] == "answer"


def test_steps_of_participants_go_only_to_those_who_ask(gathered):
    frames = chunks(gathered, STUBBORN, **DEBATE)
    assert all(frame["choices"] for frame in frames)


def test_members_really_run_at_once(gathered):
    said = {"text": "one two three four", "tokens_per_s": 10}
    job_id = submit(gathered, script([said] * 3), **DEBATE)["id"]
    await_end(gathered, job_id)
    begun, ended = {}, {}
    redis = gathered.redis()
    record = {k.decode(): v for k, v in redis.hgetall(f"inference:job:{job_id}").items()}
    for entry, fields in redis.xrange(f"inference:job:{job_id}:events"):
        event, seq = json.loads(fields[b"e"]), int(entry.split(b"-")[0])
        if event["type"] == "started":
            begun[event["step"]] = seq
        if event["type"] == "step_finished":
            ended[event["outcome"]["step"]] = seq
    assert len(ended) == 3
    assert max(begun.values()) < min(ended.values())  # all were begun before one had ended
    assert len({record[f"{step}:owner"] for step in begun}) == 3


@pytest.mark.parametrize(
    ("third", "reason"),
    [
        ({"text": "4", "fail_after": 0}, "ENGINE_FAILED"),
        ({"text": " "}, "ORCHESTRATION_FAILED"),
        ({"text": "4", "prefill_s": 30}, "REQUEST_TIMEOUT"),
        ({"text": "4 4 4", "tokens_per_s": 0.5}, "REQUEST_TIMEOUT"),
    ],
)
def test_one_that_fails_is_told_and_changes_nothing(gathered, third, reason):
    body = ask(gathered, script(["4", "4", third]), **DEBATE)
    assert content(body) == "4"
    assert body["choices"][0]["finish_reason"] == "stop"
    (failed,) = body["orchestration"]["failed_models"]
    assert (failed["model"], failed["code"]) == (FIRST, reason)
    assert failed["reason"]
    assert body["orchestration"]["confidence"] == 1


def test_garbage_is_dissent(gathered):
    body = ask(gathered, script(["4", "4", "\u2603 %$ !!"], ["4", "4", "\u2603 %$ !"]), **DEBATE)
    assert content(body) == "the written answer"
    assert body["orchestration"]["confidence"] == 0.667
    assert body["orchestration"]["agreement"]["dissent"][0]["model"] == FIRST


def test_stragglers_stop_and_their_places_are_free(gathered):
    slow = {"text": "4 " * 900, "tokens_per_s": 5}
    body = ask(gathered, script(["4", "4", slow]), **DEBATE)
    assert body["orchestration"]["failed_models"][0]["code"] == "REQUEST_TIMEOUT"
    late = body["orchestration"]["steps"][2]
    assert late["finish_reason"] == "late"
    assert late["tokens"]["completion"] > 0
    wait_for(lambda: not gathered.redis().smembers(f"inference:running:{FIRST}"))
    # Four places: where one of five stragglers did not stop, the last would wait for ever.
    for _ in range(4):
        assert content(ask(gathered, script(["4", "4", slow]), **DEBATE)) == "4"
    assert content(ask(gathered, {"text": "free"}, model=FIRST)) == "free"


def test_below_the_quorum_the_rest_is_partial(gathered):
    gone = {"text": "x", "fail_after": 0}
    body = ask(gathered, script(["4", gone, gone]), **DEBATE)
    assert content(body) == "4"
    assert body["choices"][0]["finish_reason"] == "partial"
    assert body["orchestration"]["error"]["code"] == "ORCHESTRATION_FAILED"


@pytest.mark.parametrize("gone", [{"fail_after": 0}, {"prefill_s": 30}, {"text": " "}])
def test_where_all_fail_the_request_does(gathered, gone):
    answer = gathered.post(gathered.ask(script([gone] * 3), **DEBATE))
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert error["code"] == "ORCHESTRATION_FAILED"
    assert len(error["details"]["failed_models"]) == 3


def test_an_answer_that_cannot_be_written_is_the_most_supported_one(gathered):
    steps = script(["4", "5", "5"], ["4", "5", "5"], **{"answer": {"text": "x", "fail_after": 0}})
    body = ask(gathered, steps, **DEBATE)
    assert content(body) == "5"
    assert body["choices"][0]["finish_reason"] == "partial"


def test_a_killed_member_repeats_alone(scripted):
    slow = {"text": "4 4 4 4", "tokens_per_s": 4}
    job_id = submit(scripted, script([slow] * 3), **DEBATE)["id"]
    await_step(scripted, job_id, "participant-2-1", tokens=2)
    (pid,) = scripted.worker_pids(MIDDLE)
    os.kill(pid, signal.SIGKILL)
    shown = await_end(scripted, job_id)
    assert shown["state"] == "completed", shown
    assert [step["attempt"] for step in shown["steps"]] == [1, 2, 1]
    assert content(shown["result"]) == "4 4 4 4"
    wait_for(scripted.is_ready, 20)


def test_an_orchestration_worker_that_dies_is_replaced_and_a_double_join_is_harmless(gathered):
    slow = {"text": "4 5 6 7", "tokens_per_s": 4}
    job_id = submit(gathered, script([slow] * 3), **DEBATE)["id"]
    await_step(gathered, job_id, "participant-3-1", tokens=2)
    for pid in gathered.pids("worker", "--orchestration"):
        os.kill(pid, signal.SIGKILL)
    redis = gathered.redis()
    # Sent once more beside what the record sends: it is early, held or done, and does nothing.
    redis.zadd("inference:resend", {f"{job_id}|advance-1": 0})
    shown = await_end(gathered, job_id)
    assert shown["state"] == "completed"
    assert [step["step"] for step in shown["steps"]] == [f"participant-{n}-1" for n in (1, 2, 3)]
    wait_for(lambda: len(gathered.pids("worker", "--orchestration")) == 1, 20)
