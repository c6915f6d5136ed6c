"""Critiques on real processes, scripted: what is held back, and which text stands."""

import json
import os
import signal

import pytest

from tests.support.jobs import (
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

DEFECT = {"problem": "it is wrong", "quote": "5"}


def judged(score, verdict="revise"):
    fields = {"verdict": verdict, "score": score, "defects": [DEFECT], "contradictions": []}
    return {"text": json.dumps(fields)}


REVISED = {
    "draft": {"text": "it is 5"},
    "critique-1": judged(0.2),
    "revision-1": {"text": "it is 4"},
    "critique-2": judged(0.9),
}
CRITIQUE = {"orchestration_mode": "critique"}


def test_a_revision_that_is_better_is_the_answer(scripted):
    body = ask(scripted, {"steps": REVISED}, **CRITIQUE)
    assert content(body) == "it is 4"
    assert steps_of(body) == [
        ("draft", "generator", LAST),
        ("critique-1", "critic", MIDDLE),
        ("revision-1", "generator", LAST),
        ("critique-2", "critic", MIDDLE),
    ]
    orchestration = body["orchestration"]
    assert (orchestration["rounds"], orchestration["confidence"], orchestration["answer_step"]) == (
        1,
        0.9,
        "revision-1",
    )


def test_nothing_is_streamed_before_it_is_accepted(scripted):
    options = {"stream_options": {"include_steps": True}, **CRITIQUE}
    frames = chunks(scripted, {"steps": REVISED}, **options)
    events = [frame.get("orchestration", {}).get("event") for frame in frames]
    first = next(n for n, frame in enumerate(frames) if deltas([frame]))
    assert "".join(deltas(frames)) == "it is 4"
    assert max(n for n, event in enumerate(events) if event == "step_finished") < first
    scores = [f["orchestration"]["score"] for f in frames if "score" in f.get("orchestration", {})]
    assert scores == [0.2, 0.9]


def test_a_critic_that_cannot_judge_changes_nothing(scripted):
    # The scripted engine says no JSON unless its script does: the critic's step fails.
    body = ask(scripted, {"steps": {"draft": {"text": "it is 4"}}}, **CRITIQUE)
    assert content(body) == "it is 4"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert "unusable" in body["orchestration"]["note"]
    assert "confidence" not in body["orchestration"]
    assert body["orchestration"]["rounds"] == 1


def test_the_draft_wins_over_a_worse_revision(scripted):
    steps = {**REVISED, "critique-2": judged(0.1)}
    assert content(ask(scripted, {"steps": steps}, **CRITIQUE)) == "it is 5"


@pytest.mark.parametrize(
    ("step", "model"),
    [("draft", LAST), ("critique-1", MIDDLE), ("revision-1", LAST), ("critique-2", MIDDLE)],
)
def test_a_killed_worker_repeats_its_step_only(scripted, step, model):
    wait_for(scripted.is_ready, 20)
    slow = {name: {**answer, "tokens_per_s": 4} for name, answer in REVISED.items()}
    job_id = submit(scripted, {"steps": slow}, **CRITIQUE)["id"]
    await_step(scripted, job_id, step)
    (pid,) = scripted.worker_pids(model)
    os.kill(pid, signal.SIGKILL)
    shown = await_end(scripted, job_id, 60)
    assert content(shown["result"]) == "it is 4"
    attempts = {row["step"]: row["attempt"] for row in shown["steps"]}
    assert attempts == {name: 2 if name == step else 1 for name in REVISED}
