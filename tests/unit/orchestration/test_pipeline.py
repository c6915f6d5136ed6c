"""Pipelines, by their steps and models."""

import pytest

from orchestration.modes.pipeline import Pipeline
from orchestration.modes.rounds import JobAnswer, JobFailure, Round
from orchestration.prompts.rendering import Prompts
from orchestration.rounds.policy import decide
from tests.support.finished_steps import FINAL, RETRIABLE, ended, job, shape, user
from workers.contract.errors import ContextBudgetExceeded

MODE = Pipeline(Prompts(Pipeline.templates))


@pytest.fixture
def three():
    return job("pipeline", "draft:fast", "refine:coder", "validate:phi-4", request="Why?")


def run(made, *texts, **last):
    """Let stages end with these texts in turn; returns what is decided after the last."""
    done, next_ = [], MODE.plan(made)
    for number, text in enumerate(texts, start=1):
        (step,) = next_.steps
        how = last if number == len(texts) else {}
        done.append(ended(step, number, text, **how))
        next_ = decide(made, MODE, done).next
    return next_, done


def test_stages_run_one_after_the_other_and_the_last_is_the_answer(three):
    first = MODE.plan(three)
    assert shape(first) == [("draft", "draft", "fast")]
    second, _ = run(three, "one")
    assert shape(second) == [("refine", "refine", "coder")]
    third, _ = run(three, "one", "two")
    assert shape(third) == [("answer", "validate", "phi-4")]
    answer, done = run(three, "one", "two", "three")
    assert isinstance(answer, JobAnswer)
    assert answer.done is done[-1]
    assert answer.error is None


def test_each_stage_reads_the_request_the_text_before_it_and_where_it_stands(three):
    first = MODE.plan(three).steps[0]
    second = run(three, "the first text")[0].steps[0]
    assert user(first) == "Why?"
    assert "Why?" in user(second)
    assert "the first text" in user(second)
    system = second.assignment.messages[0].content
    for line in (
        "Goal: Why?",
        "Step 2/3: refine",
        "Previous: draft",
        "Next: validate",
        "Forbidden:",
    ):
        assert line in system


def test_a_stage_that_comes_twice_is_numbered():
    made = job("pipeline", "draft:a", "refine:b", "refine:c", "validate:d")
    names = [run(made, *["x"] * count)[0].steps[0].name for count in range(1, 4)]
    assert names == ["refine-1", "refine-2", "answer"]


def test_a_retriable_error_is_tried_three_times_more_after_its_pause(three):
    (draft,) = MODE.plan(three).steps
    done = [ended(draft, 1, error=RETRIABLE)]
    for number, name in enumerate(["draft.2", "draft.3", "draft.4"], start=2):
        next_ = decide(three, MODE, done).next
        assert isinstance(next_, Round)
        (again,) = next_.steps
        assert (again.name, again.delay_ms, again.model) == (name, 700, "fast")
        assert again.assignment == draft.assignment
        done.append(ended(again, number, error=RETRIABLE))
    failure = decide(three, MODE, done).next
    assert isinstance(failure, JobFailure)
    assert failure.error.code == "ORCHESTRATION_FAILED"


def test_a_request_that_is_wrong_is_told_as_it_is(three):
    (draft,) = MODE.plan(three).steps
    failure = decide(three, MODE, [ended(draft, 1, error=ContextBudgetExceeded("too long"))]).next
    assert (failure.error.code, failure.error.message) == ("CONTEXT_BUDGET_EXCEEDED", "too long")


def test_a_step_that_succeeds_when_tried_again_goes_on(three):
    (draft,) = MODE.plan(three).steps
    done = [ended(draft, 1, error=RETRIABLE)]
    (again,) = decide(three, MODE, done).next.steps
    done.append(ended(again, 2, "better late"))
    next_ = decide(three, MODE, done).next
    assert shape(next_) == [("refine", "refine", "coder")]
    assert "better late" in user(next_.steps[0])


def test_another_error_ends_with_the_best_text_so_far(three):
    answer, done = run(three, "one", "two", "A text.", error=FINAL)
    assert answer.done is done[1]
    assert answer.error.code == "ENGINE_FAILED"
    assert answer.total_steps == 3


def test_an_answer_that_breaks_off_keeps_what_its_caller_has_seen(three):
    answer, done = run(three, "one", "two", "It is", error=RETRIABLE)
    assert answer.done is done[-1]
    assert answer.error.code == "WORKER_LOST"


def test_an_empty_last_stage_is_replaced_by_the_text_before_it(three):
    answer, done = run(three, "one", "two", " \n")
    assert answer.done is done[1]
    assert "was empty" in answer.error.message


def test_nothing_usable_fails(three):
    failure, _ = run(three, "A text.", error=FINAL)
    assert isinstance(failure, JobFailure)
    assert failure.error.details["code"] == "ENGINE_FAILED"


def test_a_contaminated_stage_is_done_once_more_without_what_came_before(three):
    bad = "I apologize, I made an error."
    again, done = run(three, "one", bad)
    assert shape(again) == [("refine.2", "refine", "coder")]
    assert user(again.steps[0]) == "Why?"
    done.append(ended(again.steps[0], 3, "clean"))
    next_ = decide(three, MODE, done).next
    assert shape(next_) == [("answer", "validate", "phi-4")]
    assert bad not in user(next_.steps[0])


def test_contaminated_again_ends_with_the_text_before_it(three):
    bad = "I apologize, I made an error."
    again, done = run(three, "one", bad)
    done.append(ended(again.steps[0], 3, bad))
    decision = decide(three, MODE, done)
    assert decision.next.done is done[0]
    assert "contaminated" in decision.next.error.message
    assert decision.assessed[0].findings["contamination"] == "critical"


def test_a_warning_is_handed_on_with_what_was_found(three):
    (draft,) = MODE.plan(three).steps
    decision = decide(three, MODE, [ended(draft, 1, "I apologize, but: it is 4.")])
    assert shape(decision.next) == [("refine", "refine", "coder")]
    assert decision.assessed[0].findings["contamination"] == "warning"
    assert decision.assessed[0].findings["validation"]["recommendation"] == "proceed"
    assert decision.validations["draft"].valid
    assert decision.handoff.active_errors == ("draft says 'I apologize'",)


def test_more_open_errors_than_steps_are_high(three):
    (draft,) = MODE.plan(three).steps
    once = decide(three, MODE, [ended(draft, 1, "I apologize: 4.")])
    twice = [ended(draft, 1, "I apologize: 4."), ended(once.next.steps[0], 2, "hallucination: 4.")]
    state = once.handoff.with_errors(("another", "and another"))
    assert decide(three, MODE, twice, state).next.steps[0].name == "refine.2"


def test_an_answer_that_was_seen_is_only_reported(three):
    answer, done = run(three, "one", "two", "I apologize, I made an error.")
    assert answer.done is done[-1]
    assert answer.error is None


def test_the_handoff_made_anew_is_the_one_that_was_handed_on(three):
    kept, done, next_ = None, [], MODE.plan(three)
    for number, text in enumerate(["one, I apologize", "two"], start=1):
        done.append(ended(next_.steps[0], number, text))
        decision = decide(three, MODE, done, kept)
        kept, next_ = decision.handoff, decision.next
    assert decide(three, MODE, done).handoff == kept
