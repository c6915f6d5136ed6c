"""How much of a context an answer says was used."""

import pytest

from orchestration.modes.rounds import JobAnswer, Step
from orchestration.rounds import report
from tests.support.finished_steps import ended, job
from web.render import openai
from workers.contract.events import Completed
from workers.contract.step import Outcome, Timings, Usage


def outcome(step="answer", used=(10, 5), context=100):
    return Outcome(step, "m", 1, "stop", Usage(*used), Timings(), context)


@pytest.mark.parametrize(
    ("used", "context", "part"),
    [((10, 5), 100, 0.15), ((90, 10), 100, 1.0), ((7, 0), 0, 0.0), ((300, 5), 100, 1.0)],
)
def test_an_outcome_says_what_it_used(used, context, part):
    assert outcome(used=used, context=context).context_utilization == part


def told(made, outcome, details):
    return openai.about(made, Completed(0, outcome, details))["inference_metadata"]


def test_of_one_model_it_is_its_own():
    made = job("single", "answer:m")
    assert told(made, outcome(), None)["context_utilization"] == 0.15


def test_of_several_steps_it_is_that_of_the_fullest():
    made = job("pipeline", "draft:a", "validate:b")
    draft = ended(Step("draft", "draft", "a"), 1)
    answer = ended(Step("answer", "validate", "b"), 2)
    full = [draft.__class__(draft.step, 1, "x", outcome("draft", (60, 30))), answer]
    given = JobAnswer(answer, 2)
    details = report.orchestration(made, full, given, {})
    assert [step["context_utilization"] for step in details["steps"]] == [0.9, 0.15]
    said = told(made, report.outcome(full, given), details)
    assert said["context_utilization"] == 0.9


def test_steps_of_the_version_before_tell_none():
    made = job("pipeline", "draft:a", "validate:b")
    details = {"models_used": ["a"], "steps": [{"step": "draft"}]}
    assert told(made, outcome(), details)["context_utilization"] == 0.15
