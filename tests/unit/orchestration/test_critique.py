"""Critiques, by their steps and by which text stands in the end."""

import json

import pytest

from orchestration.modes.critique import Critique
from orchestration.modes.critique_verdict import SCHEMA, CritiqueVerdict
from orchestration.modes.rounds import JobAnswer, JobFailure
from orchestration.prompts.rendering import Prompts
from orchestration.rounds.policy import decide
from tests.support.finished_steps import FINAL, ended, job, shape, user
from workers.constraints import grammar
from workers.contract.constraint import Constraint, ConstraintKind

MODE = Critique(Prompts(Critique.templates))
DEFECT = {"problem": "2 is no prime sum", "quote": "it is 5"}


def judged(score, verdict="revise", defects=(DEFECT,), contradictions=()):
    fields = {"verdict": verdict, "score": score, "defects": list(defects)}
    return json.dumps({**fields, "contradictions": list(contradictions)})


@pytest.fixture
def made():
    return job("critique", "generator:a", "critic:b", critique_max_rounds=2, critique_threshold=0.8)


def run(made, *texts):
    """Let steps end with these texts in turn; a pair is a text and how it ended."""
    done, next_ = [], MODE.plan(made)
    for number, text in enumerate(texts, start=1):
        (step,) = next_.steps
        text, how = text if isinstance(text, tuple) else (text, {})
        done.append(ended(step, number, text, **how))
        next_ = decide(made, MODE, done).next
    return next_, done


def test_a_good_draft_is_judged_once_and_stands(made):
    assert shape(MODE.plan(made)) == [("draft", "generator", "a")]
    critique, _ = run(made, "it is 4")
    assert shape(critique) == [("critique-1", "critic", "b")]
    assert critique.steps[0].assignment.sampling.constraint.source == SCHEMA
    assert "it is 4" in user(critique.steps[0])
    answer, done = run(made, "it is 4", judged(0.9))
    assert answer.done is done[0]
    assert answer.facts == {"rounds": 0, "confidence": 0.9}


def test_the_schema_is_one_that_engines_hold():
    assert grammar.check(Constraint(ConstraintKind.JSON_SCHEMA, SCHEMA)) == ()


def test_no_change_ends_whatever_the_score(made):
    answer, done = run(made, "it is 4", judged(0.1, "no change", ()))
    assert answer.done is done[0]


def test_a_revision_reads_the_defects_and_is_judged_too(made):
    revision, _ = run(made, "it is 5", judged(0.2))
    assert shape(revision) == [("revision-1", "generator", "a")]
    assert DEFECT["problem"] in user(revision.steps[0])
    assert DEFECT["quote"] in user(revision.steps[0])
    second, _ = run(made, "it is 5", judged(0.2), "it is 4")
    assert shape(second) == [("critique-2", "critic", "b")]
    answer, done = run(made, "it is 5", judged(0.2), "it is 4", judged(0.95))
    assert answer.done is done[2]
    assert answer.facts == {"rounds": 1, "confidence": 0.95}


def test_rounds_have_a_bound_and_the_last_revision_is_scored(made):
    texts = ["1", judged(0.1), "2", judged(0.2), "3"]
    last, _ = run(made, *texts)
    assert shape(last) == [("critique-3", "critic", "b")]
    answer, done = run(made, *texts, judged(0.3))
    assert answer.done is done[4]
    assert answer.facts == {"rounds": 2, "confidence": 0.3}
    assert len(done) == MODE.total_steps(made)


@pytest.mark.parametrize(
    ("revision", "why"),
    [
        ((" ", {}), "empty"),
        (("it is", {"reason": "length"}), "cut off"),
        (("", {"error": FINAL}), "it broke"),
    ],
)
def test_the_draft_stays_when_its_revision_is_not_whole(made, revision, why):
    answer, done = run(made, "it is 5", judged(0.2), revision)
    assert answer.done is done[0]
    assert answer.error is None
    assert why in answer.facts["note"]


def test_the_draft_stays_when_its_revision_is_worse(made):
    answer, done = run(made, "it is 5", judged(0.5), "it is 6", judged(0.4))
    assert answer.done is done[0]
    assert answer.facts["confidence"] == 0.5


def test_a_revision_that_contradicts_what_was_settled_never_stands(made):
    contradicted = judged(0.9, contradictions=["that it is even"])
    answer, done = run(made, "it is 5", judged(0.2), "it is 7", contradicted)
    assert answer.done is done[0]


@pytest.mark.parametrize(
    "text",
    [
        "Nice!",
        "[]",
        "{}",
        judged(7),
        judged(-1),
        judged(0.5, "perhaps"),
        '{"verdict": "revise", "score": "?", "defects": [], "contradictions": []}',
        judged(10**400),
        "[" * 100_000,
    ],
)
def test_a_critic_that_cannot_judge_changes_nothing(made, text):
    answer, done = run(made, "it is 4", text)
    assert isinstance(answer, JobAnswer)
    assert answer.done is done[0]
    assert answer.error is None
    assert "unusable" in answer.facts["note"]
    assert "confidence" not in answer.facts
    assert answer.facts["rounds"] == 1


def test_a_round_whose_critique_cannot_be_used_counts(made):
    answer, done = run(made, "it is 5", judged(0.2), "it is 4", "Nice!")
    assert answer.done is done[0]
    assert answer.facts["rounds"] == 2


def test_a_last_score_that_cannot_be_used_is_no_round(made):
    answer, _ = run(made, "1", judged(0.1), "2", judged(0.2), "3", "Nice!")
    assert answer.facts["rounds"] == 2


def test_a_critique_that_was_cut_off_is_not_believed(made):
    answer, done = run(made, "it is 4", (judged(0.1), {"reason": "length"}))
    assert answer.done is done[0]


def test_without_a_draft_there_is_no_answer(made):
    failure, _ = run(made, ("", {"error": FINAL}))
    assert isinstance(failure, JobFailure)


def test_a_critics_own_words_are_no_contamination(made):
    defect = {"problem": "a hallucination; I apologize", "quote": ""}
    next_, _ = run(made, "it is 5", judged(0.2, defects=[defect]))
    assert shape(next_) == [("revision-1", "generator", "a")]


def test_what_the_critic_found_is_handed_on_and_resolved_by_a_revision(made):
    _, done = run(made, "it is 5", judged(0.2), "it is 4")
    before = decide(made, MODE, done[:2])
    assert before.handoff.active_errors == (DEFECT["problem"],)
    assert before.handoff.evidence_refs == (DEFECT["quote"],)
    assert before.assessed[0].findings["score"] == 0.2
    after = decide(made, MODE, done)
    assert after.handoff.active_errors == ()
    assert DEFECT["problem"] in after.handoff.resolved_errors


def test_what_the_critic_says_is_settled_is_told_to_those_who_follow(made):
    said = {**json.loads(judged(0.2)), "decisions": ["It is even."]}
    texts = ["it is 5", json.dumps(said), "it is 4"]
    revision, _ = run(made, *texts[:2])
    assert "- It is even." in revision.steps[0].assignment.messages[0].content
    critique, done = run(made, *texts)
    assert "Settled before:\n- It is even." in user(critique.steps[0])
    assert decide(made, MODE, done).handoff.decisions_made == ("It is even.",)


def test_a_judgement_keeps_its_quotes():
    parsed = CritiqueVerdict.parse(judged(0.5))
    assert parsed.defects == (DEFECT,)
