"""Whether a text denies what was decided: judged by the fast model, and what becomes of it."""

import json

import pytest

from orchestration.context import contradictions
from orchestration.modes.debate import Debate
from orchestration.modes.pipeline import Pipeline
from orchestration.modes.rounds import JobAnswer
from orchestration.prompts.rendering import Prompts
from orchestration.rounds.policy import decide
from tests.support.finished_steps import FINAL, ended, job, one_by_one, shape, user
from workers.constraints import grammar
from workers.contract.constraint import Constraint, ConstraintKind

MODE = Pipeline(Prompts(Pipeline.templates))
NONE = json.dumps({"contradictions": []})


def found(*pairs):
    entries = [{"decision": number, "quote": quote} for number, quote in pairs]
    return json.dumps({"contradictions": entries})


@pytest.fixture
def made():
    return job(
        "pipeline",
        "draft:slow",
        "refine:coder",
        "validate:phi-4",
        fast_model="fast",
        contradiction_judge=1,
    )


def run(made, *texts):
    return one_by_one(MODE, made, *texts, same=lambda decision: decision.handoff)


@pytest.mark.parametrize("count", [1, 2, 32])
def test_the_schema_is_one_that_engines_hold(count):
    schema = contradictions.schema(count)
    assert grammar.check(Constraint(ConstraintKind.JSON_SCHEMA, schema)) == ()


def test_what_comes_first_contradicts_nothing(made):
    decision, _ = run(made, "It is 4.")
    assert shape(decision.next) == [("refine", "refine", "coder")]


def test_nobody_judges_unless_it_is_asked_for():
    plain = job("pipeline", "draft:a", "refine:b", "validate:c")
    decision, _ = run(plain, "It is 4.", "It is 5.")
    assert shape(decision.next) == [("answer", "validate", "c")]


def test_a_text_is_judged_by_the_fast_model_before_it_is_handed_on(made):
    decision, _ = run(made, "It is 4.", "It is 5.")
    assert shape(decision.next) == [("contradiction-refine", "contradiction", "fast")]
    (judge,) = decision.next.steps
    assert "1. It is 4.\n---\nThen this was written:\n---\nIt is 5." in user(judge)
    assert judge.assignment.sampling.temperature == 0


def test_a_text_that_contradicts_is_put_aside_and_told(made):
    decision, _ = run(made, "It is 4.", "It is 5.", found((1, "It is 5.")))
    assert shape(decision.next) == [("refine.2", "refine", "coder")]
    assert user(decision.next.steps[0]) == "What is it?"
    validation = {
        "valid": False,
        "recommendation": "quarantine",
        "issues": [{"type": "contradiction_detected", "severity": "high", "decision": "It is 4."}],
    }
    (assessed,) = decision.assessed
    assert (assessed.step, assessed.findings["validation"]) == ("refine", validation)
    assert decision.validations["refine"].to_dict() == validation
    assert decision.handoff.compressed_context == "It is 4."


def test_the_step_that_is_done_again_is_judged_again(made):
    texts = ["It is 4.", "It is 5.", found((1, "It is 5."))]
    decision, _ = run(made, *texts, "It is four.")
    assert shape(decision.next) == [("contradiction-refine-2", "contradiction", "fast")]
    decision, _ = run(made, *texts, "It is four.", NONE)
    assert shape(decision.next) == [("answer", "validate", "phi-4")]
    decision, done = run(made, *texts, "It is 6.", found((1, "It is 6.")))
    assert isinstance(decision.next, JobAnswer)
    assert decision.next.done is done[0]
    assert decision.validations["refine.2"].to_dict()["issues"][0]["severity"] == "critical"


def test_an_answer_that_was_seen_is_only_reported(made):
    texts = ["It is 4.", "It is four.", NONE, "It is 5."]
    decision, _ = run(made, *texts)
    assert shape(decision.next) == [("contradiction-answer", "contradiction", "fast")]
    decision, done = run(made, *texts, found((1, "It is 5.")))
    assert decision.next.done is done[3]
    assert decision.next.error is None
    assert not decision.validations["answer"].valid


def test_a_marker_needs_no_judge(made):
    decision, _ = run(made, "It is 4.", "I apologize, I made an error.")
    assert shape(decision.next) == [("refine.2", "refine", "coder")]


@pytest.mark.parametrize(
    "judgement",
    [
        "Nice!",
        "{}",
        "[]",
        "[" * 100_000,
        found((0, "It is 5.")),
        found((2, "It is 5.")),
        found(("1", "It is 5.")),
        found((1, 5)),
        (found((1, "It is 5.")), {"reason": "length"}),
        ("", {"error": FINAL}),
    ],
)
def test_a_judgement_that_cannot_be_used_changes_nothing(made, judgement):
    decision, _ = run(made, "It is 4.", "It is 5.", judgement)
    assert shape(decision.next) == [("answer", "validate", "phi-4")]
    assert decision.assessed[0].findings["unread"]["contradiction-refine"]


@pytest.mark.parametrize("quote", ["", "It is 6."])
def test_a_quote_that_is_not_there_counts_for_nothing(made, quote):
    decision, _ = run(made, "It is 4.", "It is 5.", found((1, quote)))
    assert shape(decision.next) == [("answer", "validate", "phi-4")]


def test_in_a_debate_all_are_judged_at_once_by_what_was_agreed():
    cast = ("participant:a", "participant:b", "judge:a", "reconciler:a")
    bounds = {"max_rounds": 3, "quorum": 0, "grace_s": 1.0, "timeout_s": 9.0}
    made = job("debate", *cast, **bounds, contradiction_judge=1)
    mode = Debate(Prompts(Debate.templates))
    plan = mode.plan(made)
    texts = ["The rain is the cause of it.", "Snow is what has caused it."]
    done = [ended(step, 1, text) for step, text in zip(plan.steps, texts, strict=True)]
    (judge,) = decide(made, mode, done).next.steps
    agreed = {"groups": [1, 2], "agreed": ["It has a cause."], "conflicts": []}
    done.append(ended(judge, 2, json.dumps(agreed)))
    again = decide(made, mode, done).next
    done += [ended(step, 3, text) for step, text in zip(again.steps, texts, strict=True)]
    judges = decide(made, mode, done).next
    assert shape(judges) == [
        ("contradiction-participant-1-2", "contradiction", "a"),
        ("contradiction-participant-2-2", "contradiction", "b"),
    ]
    done += [ended(step, 4, NONE) for step in judges.steps]
    assert shape(decide(made, mode, done).next) == [("judge-2", "judge", "a")]
