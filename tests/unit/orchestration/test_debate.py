"""Debates, by their steps and by which text stands in the end."""

import json

import pytest

from orchestration.modes import judging, members
from orchestration.modes.debate import Debate
from orchestration.modes.rounds import JobAnswer, JobFailure
from orchestration.prompts.rendering import Prompts
from orchestration.rounds.policy import decide
from tests.support.finished_steps import FINAL, RETRIABLE, ended, job, shape, user
from workers.constraints import grammar
from workers.contract.errors import ContextBudgetExceeded, RequestTimeout
from workers.contract.step import LATE

MODE = Debate(Prompts(Debate.templates))
LONG = ["The cause is the rain, I would say.", "Snow is the cause of it, I think.", "Sun."]
BOUNDS = {"max_rounds": 3, "quorum": 0, "grace_s": 60.0, "timeout_s": 600.0}


@pytest.fixture
def two():
    return job("debate", "participant:a", "participant:b", "judge:a", "reconciler:a", **BOUNDS)


@pytest.fixture
def three():
    cast = ("participant:a", "participant:b", "participant:c", "judge:a", "reconciler:a")
    return job("debate", *cast, **BOUNDS)


def judged(*groups, agreed=(), conflicts=()):
    return json.dumps({"groups": groups, "agreed": agreed, "conflicts": conflicts})


def run(made, *rounds):
    """Let rounds end with these texts; returns what is decided after the last, and all steps."""
    done, next_ = [], MODE.plan(made)
    for number, texts in enumerate(rounds, start=1):
        texts = texts if isinstance(texts, list) else [texts]
        assert len(texts) == len(next_.steps), shape(next_)
        for step, text in zip(next_.steps, texts, strict=True):
            text = text(step) if callable(text) else text
            how = text if isinstance(text, dict) else {"text": text}
            done.append(ended(step, number, **how))
        next_ = decide(made, MODE, done).next
    return next_, done


def grouping(*groups):
    """A judge that puts the participants into these groups, in whatever order it reads them."""

    def judge(step):
        text = user(step)
        read = sorted(range(len(groups)), key=lambda at: text.index(LONG[at]))
        return judged(*(groups[at] for at in read))

    return judge


def failing(error):
    return {"error": error}


def test_all_participants_answer_at_once(three):
    first = MODE.plan(three)
    assert shape(first) == [
        ("participant-1-1", "participant", "a"),
        ("participant-2-1", "participant", "b"),
        ("participant-3-1", "participant", "c"),
    ]
    assert {user(step) for step in first.steps} == {"What is it?"}
    assert (first.patience.quorum, first.patience.grace_s, first.patience.timeout_s) == (2, 60, 600)


def test_who_says_the_very_same_ends_the_debate_at_once(three):
    answer, done = run(three, ["4", "It is 4.", "4.0"])
    assert isinstance(answer, JobAnswer)
    assert answer.done is done[0]
    assert answer.facts["rounds"] == 1
    assert answer.facts["confidence"] == 1.0
    assert answer.facts["agreement"]["dissent"] == []


def test_others_answers_are_read_without_their_names(three):
    second, _ = run(three, ["4", "5", "6"])
    assert [step.name for step in second.steps] == [
        "participant-1-2",
        "participant-2-2",
        "participant-3-2",
    ]
    for place, step in enumerate(second.steps):
        prompt = user(step)
        before = prompt.index("Others")
        own, others = prompt[:before], prompt[before:]
        assert str(4 + place) in own
        assert [text for text in "456" if f"\n{text}\n" in others] == [
            text for text in "456" if text != str(4 + place)
        ]
        for name in ("participant", "\nb", "model b"):
            assert name not in prompt


def test_orders_differ_between_readers_and_stay_the_same_at_every_look(three):
    orders = {tuple(members.shuffled(three, 2, reader, 5)) for reader in range(8)}
    assert len(orders) > 3
    assert members.shuffled(three, 2, 1, 5) == members.shuffled(three, 2, 1, 5)


def test_it_ends_when_nobody_changes_and_one_writes_the_answer(three):
    answer, _ = run(three, ["4", "5", "6"], ["4.", "5", "6"])
    assert shape(answer) == [("answer", "reconciler", "a")]
    assert answer.patience is None
    assert answer.steps[0].assignment.sampling == three.sampling


def test_it_ends_when_they_come_to_agree(three):
    answer, done = run(three, ["4", "5", "6"], ["5", "5", "5"])
    assert isinstance(answer, JobAnswer)
    assert answer.done is done[3]
    assert answer.facts["rounds"] == 2


def test_rounds_have_a_bound(three):
    rounds = [["4", "5", "6"], ["5", "6", "4"], ["6", "4", "5"]]
    assert len(run(three, *rounds[:2])[0].steps) == 3
    answer, done = run(three, *rounds)
    assert shape(answer) == [("answer", "reconciler", "a")]
    assert len(done) + 1 == MODE.total_steps(three)


def test_a_given_up_answer_of_the_first_round_is_still_read(three):
    answer, _ = run(three, ["4", "5", "6"], ["5", "6", "5"], ["5", "6", "5"])
    assert shape(answer) == [("answer", "reconciler", "a")]
    assert "\n4\n" in user(answer.steps[0])


def test_where_the_answer_cannot_be_written_the_most_supported_one_stands(three):
    rounds = [["4", "4", "6"], ["4", "5", "6"], ["4", "5", "6"]]
    # The first round agreed most: what the debate made fewer believe does not replace it.
    answer, done = run(three, *rounds[:3], failing(FINAL))
    assert answer.done is done[0]
    assert answer.error.code == "ENGINE_FAILED"
    later = [["4", "5", "6"], ["4", "6", "6"], ["4", "6", "6"]]
    answer, done = run(three, *later, failing(FINAL))
    assert answer.done is done[7]


def test_the_written_answer_is_told_with_the_agreement_of_the_last_round(three):
    answer, done = run(three, ["4", "5", "5"], ["4", "5", "5"], "It is 5.")
    assert answer.done is done[-1]
    assert answer.error is None
    assert answer.facts["confidence"] == 0.667
    assert answer.facts["agreement"]["dissent"][0]["model"] == "a"


def test_texts_are_compared_by_a_judge(three):
    judge, _ = run(three, LONG)
    assert shape(judge) == [("judge-1", "judge", "a")]
    held_to = judge.steps[0].assignment.sampling.constraint
    assert held_to.source == judging.schema(3)
    assert grammar.check(held_to) == ()
    assert all(text in user(judge.steps[0]) for text in LONG)
    assert judge.patience.timeout_s == 600


def test_what_a_judge_finds_is_settled_or_open_for_those_who_go_on(three):
    found = judged(1, 2, 3, agreed=["It has a cause."], conflicts=["Which cause it is."])
    again, done = run(three, LONG, found)
    handoff = decide(three, MODE, done).handoff
    assert handoff.decisions_made == ("It has a cause.",)
    assert handoff.open_questions == ("Which cause it is.",)
    for step in again.steps:
        system = step.assignment.messages[0].content
        assert "- It has a cause." in system
        assert "Still open:\n- Which cause it is." in system


def test_a_judge_that_finds_one_meaning_ends_the_debate(three):
    answer, _ = run(three, LONG, judged(1, 1, 1, agreed=["It has a cause."]))
    assert shape(answer) == [("answer", "reconciler", "a")]
    assert "It has a cause." in user(answer.steps[0])


def test_groups_of_a_judge_are_put_back_into_the_order_of_the_answers(three):
    answer, _ = run(three, LONG, grouping(2, 2, 1), LONG, grouping(1, 1, 2), "Rain.")
    assert [cluster["models"] for cluster in answer.facts["agreement"]["clusters"]] == [
        ["a", "b"],
        ["c"],
    ]
    assert answer.facts["confidence"] == 0.667


def test_who_stays_with_whom_has_not_changed(three):
    again = [f"{text} Indeed." for text in LONG]
    answer, _ = run(three, LONG, grouping(1, 1, 2), again, grouping(3, 3, 1))
    assert shape(answer) == [("answer", "reconciler", "a")]
    third, _ = run(three, LONG, grouping(1, 1, 2), again, grouping(1, 2, 2))
    assert third.steps[0].name == "participant-1-3"


@pytest.mark.parametrize("text", ["Nice!", "{}", judged(1, 2), judged("a", "b", "c")])
def test_a_judge_that_cannot_judge_is_said(three, text):
    second, _ = run(three, LONG, text)
    assert second.steps[0].name == "participant-1-2"
    answer, _ = run(three, LONG, text, LONG, text, "Rain.")
    agreement = answer.facts["agreement"]
    assert agreement["method"] == "none"
    assert "unusable" in agreement["problem"]
    assert "score" not in agreement
    assert "confidence" not in answer.facts


def test_a_judge_that_fails_fails_no_answer(three):
    answer, _ = run(three, LONG, failing(FINAL), LONG, failing(FINAL), "Rain.")
    assert answer.error is None
    assert answer.facts["agreement"]["problem"] == "nobody judged: it broke"


def test_who_fails_is_reported_and_takes_no_further_part(three):
    late = RequestTimeout("b was late")
    gone = {"error": late, "reason": LATE}
    second, _ = run(three, ["4", gone, "5"])
    assert [step.name for step in second.steps] == ["participant-1-2", "participant-3-2"]
    answer, _ = run(three, ["4", gone, "5"], ["5", "5"])
    assert answer.done.step.name == "participant-1-2"
    assert answer.facts["failed_models"] == [
        {"model": "b", "step": "participant-2-1", "code": "REQUEST_TIMEOUT", "reason": "b was late"}
    ]


def test_an_empty_answer_is_none(three):
    answer, _ = run(three, ["4", "  ", "4"])
    assert answer.facts["failed_models"][0]["reason"].endswith("was empty.")


def test_an_error_that_may_pass_is_tried_again_within_the_same_time(three):
    again, _ = run(three, ["4", failing(RETRIABLE), "4"])
    assert shape(again) == [("participant-2-1.2", "participant", "b")]
    assert again.patience.timeout_s == pytest.approx(600.7)
    answer, _ = run(three, ["4", failing(RETRIABLE), "4"], "4")
    assert answer.facts["confidence"] == 1.0


def test_errors_of_one_member_do_not_make_others_texts_suspect(three):
    down = [failing(RETRIABLE)] * 3
    answer, _ = run(three, ["4", failing(RETRIABLE), "5"], *down, ["4", "5"], "4")
    assert answer.facts["failed_models"][0]["code"] == "WORKER_LOST"
    assert answer.done.problem is None


def test_below_the_quorum_the_best_there_is_answers_in_part(three):
    answer, done = run(three, ["4", failing(FINAL), failing(FINAL)])
    assert answer.done is done[0]
    assert answer.error.code == "ORCHESTRATION_FAILED"
    assert "1 of 3 models answered, 2 are needed" in answer.error.message
    assert "confidence" not in answer.facts


def test_where_all_fail_there_is_no_answer(three):
    failure, _ = run(three, [failing(FINAL)] * 3)
    assert isinstance(failure, JobFailure)
    assert len(failure.error.details["failed_models"]) == 3


def test_one_that_is_enough_is_the_answer(two):
    made = job(
        "debate",
        "participant:a",
        "participant:b",
        "judge:a",
        "reconciler:a",
        **{**BOUNDS, "quorum": 1},
    )
    answer, done = run(made, [failing(FINAL), "4"])
    assert answer.done is done[1]
    assert answer.error is None
    assert answer.facts["agreement"]["method"] == "none"


def test_a_debate_that_breaks_up_is_reconciled_with_what_there_is(two):
    answer, _ = run(two, ["4", "5"], [failing(FINAL), failing(FINAL)])
    assert shape(answer) == [("answer", "reconciler", "a")]
    assert "\n4\n" in user(answer.steps[0])
    assert "\n5\n" in user(answer.steps[0])
    end, _ = run(two, ["4", "5"], [failing(FINAL), failing(FINAL)], "5")
    assert end.facts["confidence"] == 0.5


def test_a_debate_that_breaks_up_and_cannot_be_reconciled_leaves_its_first_round(two):
    broken = failing(FINAL)
    answer, done = run(two, LONG[:2], broken, [broken, broken], broken)
    assert answer.done is done[0]
    assert answer.error.code == "ENGINE_FAILED"


def test_a_request_that_no_model_takes_is_told_as_it_is(three):
    failure, _ = run(three, [failing(ContextBudgetExceeded("too long for a"))] * 3)
    assert (failure.error.code, failure.error.message) == (
        "CONTEXT_BUDGET_EXCEEDED",
        "too long for a",
    )
    failure, _ = run(three, [failing(ContextBudgetExceeded()), failing(FINAL), failing(FINAL)])
    assert failure.error.code == "ORCHESTRATION_FAILED"
