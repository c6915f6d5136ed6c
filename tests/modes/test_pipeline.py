"""Pipelines on real processes with the scripted engine: what callers see, and what breaks."""

import json
import os
import signal
import time

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
    job,
    read_events,
    steps_of,
    submit,
)
from tests.support.waiting import wait_for
from workers.contract import keys
from workers.contract.step import ORCHESTRATOR

TEXTS = {
    "draft": {"text": "a draft of it"},
    "refine": {"text": "a finer one"},
    "answer": {"text": "the answer itself"},
}
SCRIPT = {"steps": TEXTS}
CLEAN = {"text": "clean"}
#: Two seconds for each step, to be in the middle of.
SLOW = {
    "steps": {
        name: {"text": " ".join(f"{name}{n}" for n in range(40)), "tokens_per_s": 20}
        for name in TEXTS
    }
}


def with_steps(**changes):
    of_steps = {name: {**TEXTS.get(name, {}), **change} for name, change in changes.items()}
    return {"steps": {**TEXTS, **of_steps}}


def test_a_plain_answer_is_the_last_stages_and_tells_of_all(scripted):
    body = ask(scripted, SCRIPT)
    assert content(body) == "the answer itself"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert steps_of(body) == [
        ("draft", "draft", FIRST),
        ("refine", "refine", MIDDLE),
        ("answer", "validate", LAST),
    ]
    assert body["inference_metadata"]["config"] == "demo-pipeline"
    orchestration = body["orchestration"]
    assert orchestration["mode"] == "pipeline"
    assert orchestration["models_used"] == [LAST, FIRST, MIDDLE]
    assert "partial" not in orchestration
    counted = [step["tokens"] for step in orchestration["steps"]]
    assert (
        body["usage"]["completion_tokens"] == sum(tokens["completion"] for tokens in counted) == 10
    )
    assert body["usage"]["prompt_tokens"] == sum(tokens["prompt"] for tokens in counted)
    for step in orchestration["steps"]:
        assert {"queue_ms", "prefill_ms", "decode_ms", "attempt"} <= set(step)


def test_a_stream_is_ordinary_deltas_for_the_official_client(scripted):
    stream = scripted.openai().chat.completions.create(
        model=LAST,
        messages=scripted.ask(SCRIPT)["messages"],
        stream=True,
        stream_options={"include_usage": True},
    )
    received = list(stream)
    texts = [chunk.choices[0].delta.content for chunk in received if chunk.choices]
    assert "".join(text or "" for text in texts) == "the answer itself"
    assert received[-1].usage.completion_tokens == 10


def test_steps_are_told_to_those_who_ask(scripted):
    frames = chunks(scripted, SCRIPT, stream_options={"include_steps": True})
    assert "".join(deltas(frames)) == "the answer itself"
    events = [f["orchestration"] for f in frames if not f["choices"] and "orchestration" in f]
    assert [
        (event["event"], event["step"]) for event in events if event["event"] != "step_tokens"
    ] == [
        ("step_started", "draft"),
        ("step_finished", "draft"),
        ("step_started", "refine"),
        ("step_finished", "refine"),
        ("step_started", "answer"),
        ("step_finished", "answer"),
    ]
    said = [
        event["text"]
        for event in events
        if event["event"] == "step_tokens" and event["step"] == "draft"
    ]
    assert "".join(said) == "a draft of it"


def test_without_asking_nothing_of_the_steps_is_streamed(scripted):
    frames = chunks(scripted, SCRIPT)
    assert all(frame["choices"] for frame in frames)
    assert frames[-1]["orchestration"]["mode"] == "pipeline"


def test_a_request_may_ask_for_a_single_model(scripted):
    body = ask(scripted, {"text": "mine alone"}, orchestration_mode="single")
    assert content(body) == "mine alone"
    assert body["orchestration"] == {"mode": "single", "models_used": [LAST], "rounds": 1}


def test_a_named_model_does_the_last_stage(scripted):
    body = ask(scripted, SCRIPT, model=FIRST)
    assert body["model"] == FIRST
    assert steps_of(body)[-1] == ("answer", "validate", FIRST)
    assert body["orchestration"]["models_used"][0] == FIRST


def test_a_job_shows_its_steps(scripted):
    shown = await_end(scripted, submit(scripted, SCRIPT)["id"])
    assert shown["state"] == "completed"
    assert [(step["step"], step["part"], step["state"]) for step in shown["steps"]] == [
        ("draft", "draft", "done"),
        ("refine", "refine", "done"),
        ("answer", "validate", "done"),
    ]
    assert content(shown["result"]) == "the answer itself"


def test_a_retriable_error_is_tried_again_after_its_pause(scripted):
    script = with_steps(
        refine={"fail_after": 1, "fail_with": "MODEL_BUSY"}, **{"refine.2": {"fail_after": None}}
    )
    body = ask(scripted, script)
    assert content(body) == "the answer itself"
    names = [step["step"] for step in body["orchestration"]["steps"]]
    assert names == ["draft", "refine", "refine.2", "answer"]
    assert body["orchestration"]["steps"][1]["error"]["code"] == "MODEL_BUSY"


def test_what_fails_for_good_leaves_the_best_so_far(scripted):
    body = ask(scripted, with_steps(refine={"fail_after": 1}))
    assert content(body) == "a draft of it"
    assert body["choices"][0]["finish_reason"] == "partial"
    orchestration = body["orchestration"]
    assert orchestration["partial"] is True
    assert (orchestration["completed_steps"], orchestration["total_steps"]) == (1, 3)
    assert orchestration["error"]["code"] == "ENGINE_FAILED"


def test_a_stream_that_breaks_off_keeps_what_was_sent(scripted):
    frames = chunks(scripted, with_steps(answer={"fail_after": 2}))
    assert "".join(deltas(frames)) == "the answer "
    assert frames[-1]["choices"][0]["finish_reason"] == "partial"


def test_nothing_usable_is_an_error(scripted):
    answer = scripted.post(scripted.ask(with_steps(draft={"fail_after": 0})))
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "ORCHESTRATION_FAILED"


def test_contamination_is_put_aside_and_told(scripted):
    script = with_steps(refine={"text": "I apologize, I made an error."}, **{"refine.2": CLEAN})
    # A marker that the request has is none: here it is written so that only JSON reads it.
    content = json.dumps({"scripted": script}).replace("apologize", "apologi\\u007ae")
    content = content.replace("I made", "I\\u0020made")
    frames = chunks(scripted, content, stream_options={"include_steps": True})
    events = [f["orchestration"] for f in frames if f.get("orchestration", {}).get("event")]
    (assessed,) = [event for event in events if event["event"] == "step_assessed"]
    assert (assessed["step"], assessed["contamination"]) == ("refine", "high")
    found = assessed["validation"]
    assert (found["valid"], found["recommendation"]) == (False, "quarantine")
    assert {issue["type"] for issue in found["issues"]} == {"error_marker_detected"}
    told = [step.get("validation") for step in frames[-1]["orchestration"]["steps"]]
    assert told == [None, found, None, None]
    shown = job(scripted, frames[0]["id"])["steps"]
    assert [step.get("validation") for step in shown] == told
    assert "".join(deltas(frames)) == "the answer itself"


def test_what_a_long_draft_settles_is_read_by_the_fast_model(scripted):
    lists = {"constraints": [], "evidence": [], "open_questions": ["Who pays?"]}
    said = {"decisions": ["The bridge is 120 m long."], **lists}
    script = with_steps(
        draft={"text": "The bridge is 120 m long. " * 40},
        **{"extract-draft": {"text": json.dumps(said)}},
    )
    body = ask(scripted, script)
    assert content(body) == "the answer itself"
    assert steps_of(body) == [
        ("draft", "draft", FIRST),
        ("extract-draft", "extract", FIRST),
        ("refine", "refine", MIDDLE),
        ("answer", "validate", LAST),
    ]
    assert body["usage"]["completion_tokens"] == sum(
        step["tokens"]["completion"] for step in body["orchestration"]["steps"]
    )


#: A draft that goes on for its whole generation part.
ENDLESS_DRAFT = {"text": "long ", "repeat": True, "tokens_per_s": 100_000}


def crowded(script):
    """A system message after which such a draft leaves the next answer less than its part."""
    turns = (("system", "calm " * 600), ("user", json.dumps({"scripted": script})))
    return [{"role": role, "content": said} for role, said in turns]


def test_a_draft_over_its_part_stays_while_the_answer_keeps_its_own(scripted):
    nothing = dict.fromkeys(("decisions", "constraints", "open_questions", "evidence"), ())
    script = with_steps(draft=ENDLESS_DRAFT, **{"extract-draft": {"text": json.dumps(nothing)}})
    body = ask(scripted, script)
    assert content(body) == "the answer itself"
    draft, _, refine, _ = body["orchestration"]["steps"]
    parts = refine["plan"]["parts"]
    drafted = draft["tokens"]["completion"]
    assert parts["handoff"]["budget"] < drafted
    assert (parts["handoff"]["asked"], parts["handoff"]["got"]) == (drafted, drafted)
    assert parts["generation"]["got"] == parts["generation"]["budget"] == drafted


def test_a_draft_that_is_too_long_is_shortened_before_the_next_stage(scripted):
    lists = dict.fromkeys(("decisions", "constraints", "open_questions", "evidence", "errors"), ())
    said = {**lists, "decisions": ["It is long."], "context": "It is a long text."}
    shortening = "compress-draft-1-1-1"
    script = with_steps(draft=ENDLESS_DRAFT, **{shortening: {"text": json.dumps(said)}})
    shown = await_end(scripted, submit(scripted, script, messages=crowded(script))["id"])
    result = shown["result"]
    assert content(result) == "the answer itself"
    assert steps_of(result) == [
        ("draft", "draft", FIRST),
        (shortening, "compress", FIRST),
        ("refine", "refine", MIDDLE),
        ("answer", "validate", LAST),
    ]
    assert result["inference_metadata"]["compression_applied"] is True
    plan = result["orchestration"]["steps"][2]["plan"]
    assert plan == shown["steps"][2]["plan"]
    assert plan["window"] == sum(part["budget"] for part in plan["parts"].values()) == 8192
    handoff = plan["parts"]["handoff"]
    drafted = result["orchestration"]["steps"][0]["tokens"]["completion"]
    assert (handoff["asked"], handoff["got"]) == (drafted, 5)
    assert handoff["budget"] < drafted
    assessed = [body for _, kind, body in read_events(scripted, shown["id"]) if kind == "assessed"]
    planned = [body for body in assessed if "plan" in body["findings"]]
    assert [body["step"] for body in planned] == ["draft", "refine", "answer"]
    assert planned[1]["findings"]["plan"] == plan
    assert shown["steps"][0]["plan"]["parts"]["handoff"]["got"] == 0


def test_a_pipeline_over_windows_of_8k_32k_and_16k(windows):
    """Stages write all they may: 3,892 words, which fit the next window, and 21,218, which do not.

    The compressor has 8,192 tokens, so it works in five parts.
    """
    said = dict.fromkeys(("decisions", "constraints", "open_questions", "evidence"), ())
    long = {"text": "long ", "repeat": True, "tokens_per_s": 100_000}
    script = {
        "text": json.dumps({**said, "errors": (), "context": "It is short."}),
        "steps": {"draft": long, "refine": long, "answer": TEXTS["answer"]},
    }
    body = ask(windows, script, model="phi-4")
    assert content(body) == "the answer itself"
    fast = "llama-3.2-3b"
    assert steps_of(body) == [
        ("draft", "draft", fast),
        ("extract-draft", "extract", fast),
        ("refine", "refine", "qwen2.5-7b"),
        *((f"compress-refine-1-{part}-5", "compress", fast) for part in range(1, 6)),
        ("answer", "validate", "phi-4"),
    ]
    steps = {step["step"]: step for step in body["orchestration"]["steps"]}
    handed_on = {"refine": (3892, 3892, 21_218), "answer": (21_218, 3, 9534)}
    for name, window in (("refine", 32_768), ("answer", 16_384)):
        asked, got, generation = handed_on[name]
        parts = steps[name]["plan"]["parts"]
        assert steps[name]["plan"]["window"] == window
        assert sum(part["budget"] for part in parts.values()) == window
        assert (parts["handoff"]["asked"], parts["handoff"]["got"]) == (asked, got)
        assert parts["generation"]["got"] == generation
        read = sum(parts[part]["got"] for part in parts if part != "generation")
        assert read == steps[name]["tokens"]["prompt"]


def test_a_document_of_100000_tokens_through_a_window_of_128k(long_documents):
    """A question has the window, whatever its part is; what is handed on is made to fit beside it.

    Draft and answer may have 16,000 tokens, and the window has not both beside the document.
    """
    model = "granite-8b-code-128k"
    said = dict.fromkeys(("decisions", "constraints", "open_questions", "evidence"), ())
    script = {
        "text": json.dumps({**said, "errors": (), "context": "It is short."}),
        "steps": {"draft": ENDLESS_DRAFT, "answer": TEXTS["answer"]},
    }
    document = json.dumps({"scripted": script}) + " word" * 100_000
    body = ask(long_documents, document, model=model, max_tokens=16_000)
    assert content(body) == "the answer itself"
    draft, shortened, answer = body["orchestration"]["steps"]
    assert shortened["step"] == "compress-draft-1-1-1"
    words = len(document.split())
    for step, drafted, handed_on in ((draft, 0, 0), (answer, 16_000, 3)):
        plan = step["plan"]
        parts = plan["parts"]
        assert plan["window"] == sum(part["budget"] for part in parts.values()) == 131_072
        assert parts["user_query"]["budget"] == 32_000 < words <= parts["user_query"]["got"]
        assert (parts["handoff"]["asked"], parts["handoff"]["got"]) == (drafted, handed_on)
        assert parts["generation"]["got"] == 16_000
        read = sum(parts[part]["got"] for part in parts if part != "generation")
        assert read == step["tokens"]["prompt"]


def test_what_no_pass_shortens_ends_with_the_best_so_far(scripted):
    script = with_steps(draft=ENDLESS_DRAFT)
    body = ask(scripted, script, messages=crowded(script))
    assert body["choices"][0]["finish_reason"] == "partial"
    orchestration = body["orchestration"]
    assert orchestration["error"]["code"] == "COMPRESSION_FAILED"
    assert [step["step"] for step in orchestration["steps"]] == [
        "draft",
        *(f"compress-draft-{number}-1-1" for number in (1, 2, 3)),
    ]
    assert content(body).startswith("long long")
    assert body["inference_metadata"]["compression_applied"] is False


def test_a_stage_that_contradicts_the_one_before_is_put_aside(judged):
    found = {"contradictions": [{"decision": 1, "quote": "a finer one"}]}
    nothing = {"contradictions": []}
    script = with_steps(
        **{
            "contradiction-refine": {"text": json.dumps(found)},
            "refine.2": CLEAN,
            "contradiction-refine-2": {"text": json.dumps(nothing)},
            "contradiction-answer": {"text": json.dumps(nothing)},
        }
    )
    body = ask(judged, script)
    assert content(body) == "the answer itself"
    steps = body["orchestration"]["steps"]
    assert [step["step"] for step in steps] == [
        "draft",
        "refine",
        "contradiction-refine",
        "refine.2",
        "contradiction-refine-2",
        "answer",
        "contradiction-answer",
    ]
    assert steps[1]["validation"]["issues"] == [
        {"type": "contradiction_detected", "severity": "high", "decision": "a draft of it"}
    ]
    assert body["usage"]["completion_tokens"] == sum(step["tokens"]["completion"] for step in steps)


@pytest.mark.parametrize(
    ("step", "model"), [("draft", FIRST), ("refine", MIDDLE), ("answer", LAST)]
)
def test_a_killed_worker_repeats_its_step_only(scripted, step, model):
    job_id = submit(scripted, SLOW)["id"]
    await_step(scripted, job_id, step, tokens=5)
    (pid,) = scripted.worker_pids(model)
    os.kill(pid, signal.SIGKILL)
    shown = await_end(scripted, job_id)
    assert shown["state"] == "completed", shown
    assert content(shown["result"]) == SLOW["steps"]["answer"]["text"]
    attempts = {row["step"]: row["attempt"] for row in shown["steps"]}
    assert attempts == {name: 2 if name == step else 1 for name in TEXTS}
    wait_for(scripted.is_ready, 20)


@pytest.mark.parametrize("step", ["draft", "refine", "answer"])
def test_an_orchestration_worker_that_dies_between_steps_is_replaced(scripted, step):
    job_id = submit(scripted, SLOW)["id"]
    await_step(scripted, job_id, step, tokens=5)
    for pid in scripted.pids("worker", "--orchestration"):
        os.kill(pid, signal.SIGKILL)
    shown = await_end(scripted, job_id)
    assert content(shown["result"]) == SLOW["steps"]["answer"]["text"]
    assert [row["step"] for row in shown["steps"]] == list(TEXTS)
    wait_for(lambda: len(scripted.pids("worker", "--orchestration")) == 1, 20)


def test_a_message_that_a_dying_orchestration_worker_took_with_it_is_sent_again(scripted):
    job_id = submit(scripted, SLOW)["id"]
    await_step(scripted, job_id, "draft")
    redis = scripted.redis()
    (pid,) = scripted.pids("worker", "--orchestration")
    os.kill(pid, signal.SIGSTOP)  # what Redis hands out now is read by nobody
    member = f"{job_id}|advance-1"
    wait_for(lambda: redis.zscore(keys.waiting(ORCHESTRATOR), member) is not None)
    os.kill(pid, signal.SIGKILL)
    assert await_end(scripted, job_id)["state"] == "completed"


def test_cancelling_stops_the_step_that_runs_and_all_that_would_follow(scripted):
    job_id = submit(scripted, SLOW)["id"]
    await_step(scripted, job_id, "refine")
    scripted.delete(f"/v1/jobs/{job_id}")
    shown = await_end(scripted, job_id)
    assert shown["state"] == "cancelled"
    assert [step["state"] for step in shown["steps"]] == ["done", "stopped"]


def test_a_deadline_holds_for_the_whole_job(scripted):
    began = time.monotonic()
    shown = await_end(scripted, submit(scripted, SLOW, deadline_s=3)["id"])
    assert shown["state"] == "expired"
    assert [step["state"] for step in shown["steps"]] == ["done", "stopped"]
    assert time.monotonic() - began < 30


def test_a_client_that_leaves_cancels_the_rest(scripted):
    with scripted.open_stream(scripted.ask(SLOW, stream_options={"include_steps": True})) as stream:
        frame = next(stream.events())
    job_id = frame.split('"id":"')[1].split('"')[0]
    assert await_end(scripted, job_id)["state"] == "cancelled"
    assert job(scripted, job_id)["reason"] == "client left"
