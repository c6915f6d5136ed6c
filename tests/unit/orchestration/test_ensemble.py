"""Ensembles, by their steps and by which text stands in the end."""

import json
from dataclasses import replace

import pytest

from orchestration.modes import members
from orchestration.modes.ensemble import Ensemble
from orchestration.modes.rounds import JobAnswer, JobFailure
from orchestration.prompts.rendering import Prompts
from orchestration.rounds.policy import decide
from tests.support.finished_steps import FINAL, ended, job, shape, user

MODE = Ensemble(Prompts(Ensemble.templates))
LONG = ["The cause is the rain, I would say.", "Snow is the cause of it, I think.", "Sun."]
BOUNDS = {
    "quorum": 0,
    "grace_s": 60.0,
    "timeout_s": 600.0,
    "min_agreement": 0.7,
    "on_dissent": "answer",
}
THREE = ("member:a", "member:b", "member:c", "judge:a", "synthesiser:a")


def made(*cast, **bounds):
    return job("ensemble", *(cast or THREE), **{**BOUNDS, **bounds})


def run(asked, *rounds):
    done, next_ = [], MODE.plan(asked)
    for number, texts in enumerate(rounds, start=1):
        texts = [texts] if isinstance(texts, str | dict) else texts
        assert len(texts) == len(next_.steps), shape(next_)
        for step, text in zip(next_.steps, texts, strict=True):
            how = text if isinstance(text, dict) else {"text": text}
            done.append(ended(step, number, **how))
        next_ = decide(asked, MODE, done).next
    return next_, done


def test_all_members_answer_at_once_and_one_writes_what_they_say():
    first = MODE.plan(made())
    assert shape(first) == [
        ("member-1", "member", "a"),
        ("member-2", "member", "b"),
        ("member-3", "member", "c"),
    ]
    answer, _ = run(made(), ["4", "5", "4"])
    assert shape(answer) == [("answer", "synthesiser", "a")]
    assert "- 2: 4" in user(answer.steps[0])
    assert "- 1: 5" in user(answer.steps[0])
    end, done = run(made(), ["4", "5", "4"], "Four.")
    assert end.done is done[-1]
    assert end.facts["confidence"] == 0.667
    assert len(done) == MODE.total_steps(made())


def test_who_says_the_very_same_needs_nobody_who_writes():
    answer, done = run(made(), ["4", "4.", "It is 4."])
    assert isinstance(answer, JobAnswer)
    assert answer.done is done[0]
    assert answer.facts["agreement"]["method"] == "exact"


def test_below_the_least_agreement_the_answer_says_so():
    answer, _ = run(made(), ["4", "5", "6"])
    assert "They do not agree" in user(answer.steps[0])
    end, _ = run(made(), ["4", "5", "6"], "Between 4 and 6.")
    assert end.error is None
    assert "1 of 3 say the same (0.333), and 0.7 is asked for" in end.facts["note"]
    assert len(end.facts["agreement"]["dissent"]) == 2


def test_below_the_least_agreement_it_fails_where_that_is_set():
    failure, _ = run(made(on_dissent="fail"), ["4", "5", "6"])
    assert isinstance(failure, JobFailure)
    assert failure.error.code == "ORCHESTRATION_FAILED"
    assert len(failure.error.details["agreement"]["dissent"]) == 2
    answer, _ = run(made(on_dissent="fail", min_agreement=0.6), ["4", "4", "6"])
    assert shape(answer) == [("answer", "synthesiser", "a")]


def test_texts_are_compared_by_a_judge_whose_points_the_synthesis_reads():
    judge, _ = run(made(), LONG)
    assert shape(judge) == [("judge", "judge", "a")]
    comparison = {"groups": [1, 1, 1], "agreed": ["It is weather."], "conflicts": ["Rain or snow."]}
    answer, _ = run(made(), LONG, json.dumps(comparison))
    assert "It is weather." in user(answer.steps[0])
    assert "Rain or snow." in user(answer.steps[0])
    assert "They do not agree" not in user(answer.steps[0])


def test_what_nobody_can_judge_is_no_dissent():
    answer, _ = run(made(on_dissent="fail"), LONG, "Nice!", "Rain.")
    assert answer.facts["agreement"]["method"] == "none"
    assert "confidence" not in answer.facts
    assert "note" not in answer.facts


def test_a_synthesis_that_fails_is_replaced_by_the_most_supported_answer():
    answer, done = run(made(), ["6", "4", "4"], {"error": FINAL})
    assert answer.done is done[1]
    assert answer.error.code == "ENGINE_FAILED"
    assert answer.facts["confidence"] == 0.667


def test_one_model_that_answers_several_times_is_decided_by_vote():
    asked = made("member:a", "member:a", "member:a", "judge:a", temperature=0.7)
    first = MODE.plan(asked)
    sampled = [step.assignment.sampling for step in first.steps]
    assert [sampling.temperature for sampling in sampled] == [0.7, 0.8, 0.9]
    assert len({sampling.seed for sampling in sampled}) == 3
    assert [step.name for step in first.steps] == ["member-1", "member-2", "member-3"]
    answer, done = run(asked, ["6", "4", "4"])
    assert answer.done is done[1]
    assert "1 of 3" not in answer.facts["note"]
    assert answer.facts["confidence"] == 0.667


@pytest.mark.parametrize(
    ("temperature", "expected"), [(0.0, [0.0, 0.8, 0.9]), (0.5, [0.5, 0.6, 0.7]), (2.0, [2.0] * 3)]
)
def test_members_of_one_model_never_sample_alike(temperature, expected):
    asked = made("member:a", "member:a", "member:a", "judge:a")
    asked = replace(asked, sampling=replace(asked.sampling, temperature=temperature, seed=7))
    cast = members.of_part(asked, "member")
    sampled = [members.sampling(asked, cast, at) for at in range(3)]
    assert [sampling.temperature for sampling in sampled] == expected
    assert [sampling.seed for sampling in sampled] == [7, 8, 9]
    again = members.sampling(asked, cast, 0, round_=2)
    assert again.seed not in (7, 8, 9)


def test_members_of_models_of_their_own_sample_as_they_are_asked():
    asked = made()
    assert members.sampling(asked, members.of_part(asked, "member"), 1) == asked.sampling


def test_a_quorum_may_be_set():
    assert MODE.plan(made(quorum=3)).patience.quorum == 3
    assert MODE.plan(made(quorum=9)).patience.quorum == 3
    answer, _ = run(made(quorum=3), ["4", "4", {"error": FINAL}])
    assert answer.error.code == "ORCHESTRATION_FAILED"
