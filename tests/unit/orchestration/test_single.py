"""Mode `single`, by its steps and by what a job of several choices ends with."""

from dataclasses import replace

import pytest

from orchestration.modes.rounds import JobAnswer
from orchestration.modes.single import Single
from orchestration.prompts.rendering import Prompts
from orchestration.rounds import report
from orchestration.rounds.policy import decide
from tests.support.finished_steps import ended, job, shape
from workers.contract.prompt import Prompt
from workers.contract.step import Usage, answer_step, choice_of, is_answer

MODE = Single(Prompts(()))


def asked(choices):
    return replace(job("single", "answer:m"), choices=choices)


def test_one_answer_is_one_step_whose_end_is_the_jobs():
    first = MODE.plan(asked(1))
    assert shape(first) == [("answer", "answer", "m")]
    assert first.ends_job
    assert not first.needs_all


def test_each_choice_is_a_step_and_all_are_needed():
    first = MODE.plan(asked(3))
    assert [name for name, *_ in shape(first)] == ["answer", "answer-1", "answer-2"]
    assert not first.ends_job
    assert first.needs_all
    assert MODE.total_steps(asked(3)) == 3


def test_the_prompt_counts_once_and_every_answer_counts():
    done = [ended(step, 1) for step in MODE.plan(asked(3)).steps]
    usages = [Usage(10, 1, 0, 1), Usage(10, 2, 8), Usage(10, 3, 9)]
    done = [
        replace(each, outcome=replace(each.outcome, usage=usage))
        for each, usage in zip(done, usages, strict=True)
    ]
    end = decide(asked(3), MODE, done).next
    assert isinstance(end, JobAnswer)
    assert report.outcome(done, end).usage == Usage(10, 6, 0, 1)


def test_each_prompt_counts_once():
    request = replace(asked(4), prompts=(Prompt("a"), Prompt("b")))
    done = [ended(step, 1) for step in MODE.plan(request).steps]
    usages = [Usage(3, 1), Usage(3, 1), Usage(5, 1, 5), Usage(5, 1, 4)]
    done = [
        replace(each, outcome=replace(each.outcome, usage=usage))
        for each, usage in zip(done, usages, strict=True)
    ]
    end = decide(request, MODE, done).next
    assert report.outcome(done, end).usage == Usage(8, 4, 4)
    assert [request.prompt_of(choice).text for choice in range(4)] == ["a", "a", "b", "b"]
    seeded = replace(request, sampling=replace(request.sampling, seed=7))
    assert [seeded.sampling_of(choice).seed for choice in range(4)] == [7, 8, 7, 8]


def test_a_text_is_the_callers_whatever_it_says():
    """No text of a choice is put aside: nobody else is handed it."""
    texts = ["Step 1 of 3: as the critic I say", "", " \n"]
    done = [
        ended(step, 1, text) for step, text in zip(MODE.plan(asked(3)).steps, texts, strict=True)
    ]
    decision = decide(asked(3), MODE, done)
    assert isinstance(decision.next, JobAnswer)
    assert decision.assessed == ()


@pytest.mark.parametrize(
    ("step", "choice"), [("answer", 0), ("answer.2", 0), ("answer-1", 1), ("answer-15.3", 15)]
)
def test_a_step_that_answers_says_which_choice(step, choice):
    assert is_answer(step)
    assert choice_of(step) == choice
    assert answer_step(choice) == step.partition(".")[0]


@pytest.mark.parametrize("step", ["draft", "answers", "member-1", "answer-x", "answer-"])
def test_other_steps_are_no_answer(step):
    assert not is_answer(step)
    assert choice_of(step) == 0


def test_seeds_of_choices_follow_each_other():
    request = asked(3)
    assert request.sampling_of(2) is request.sampling
    seeded = replace(request, sampling=replace(request.sampling, seed=7))
    assert [seeded.sampling_of(choice).seed for choice in range(3)] == [7, 8, 9]
