"""Old turns of a conversation with one model: when they are shortened, and what is sent then."""

import dataclasses
import json

import pytest

from orchestration.context.planning import Planner
from orchestration.conversation import Conversation
from orchestration.modes.registry import load
from orchestration.modes.rounds import JobAnswer, JobFailure, Round
from orchestration.rounds.policy import decide, state_before
from tests.support.finished_steps import RETRIABLE, ended, shape
from tests.support.word_counter import WordCounter, budgets_of, words
from workers.contract.job import Job, Message

MODE = load(None)["single"]
LISTS = ("decisions", "constraints", "open_questions", "evidence", "errors")
SYSTEM = Message("system", "Answer for PORT_8085, in English.")
LAST = Message("user", "And now?")
#: Of 8,192 tokens the answer's part is 3,892: 4,300 are left for the conversation.
LONG, SHORT = 6000, 1000


def said(context, **lists):
    return json.dumps({**dict.fromkeys(LISTS, ()), **lists, "context": context})


def conversation(count, *, last=LAST, compression="auto", **fields):
    old = (
        Message("user", "It is on PORT_8085. " + "old " * (count // 2)),
        Message("assistant", "turn " * (count // 2)),
    )
    turns = (SYSTEM, *old, last)
    bounds = {"fast_model": "fast", "reading_timeout_s": 60}
    return Job("chatcmpl-1", "m", turns, 1, compression=compression, bounds=bounds, **fields)


def run(made, *texts, window=8192):
    planner = Planner(WordCounter(), budgets_of(m=window, fast=32_768))
    done, plans = [], {}
    next_ = MODE.plan(made)
    number = 0
    decision = None
    while isinstance(next_, Round) and number <= len(texts):
        if next_.steps:
            (planned,) = next_.steps
            text = texts[number - 1]
            text, how = text if isinstance(text, tuple) else (text, {})
            plan = plans[planned.name].to_dict() if planned.name in plans else None
            done.append(dataclasses.replace(ended(planned, number, text, **how), plan=plan))
        assert state_before(done) >= 0
        decision = decide(made, MODE, done, None, planner)
        next_, plans = decision.next, decision.plans
        number += 1
    return decision, done


def test_without_being_asked_nothing_is_counted():
    for made in (conversation(LONG, compression="off"), conversation(LONG, compression=None)):
        assert shape(MODE.plan(made)) == [("answer", "answer", "m")]
        assert MODE.plan(made).ends_job


def test_what_has_no_old_turns_is_sent_at_once():
    made = dataclasses.replace(conversation(LONG), messages=(SYSTEM, LAST))
    assert shape(MODE.plan(made)) == [("answer", "answer", "m")]


def test_what_fits_is_sent_as_it_came():
    assert MODE.plan(conversation(SHORT)).steps == ()
    decision, _ = run(conversation(SHORT))
    (answer,) = decision.next.steps
    assert answer.assignment is None
    assert decision.next.ends_job
    parts = decision.plans["answer"].to_dict()["parts"]
    assert parts["handoff"]["asked"] == parts["handoff"]["got"] > SHORT - 2


def test_old_turns_that_leave_the_answer_no_room_are_shortened_first():
    made = conversation(LONG)
    decision, _ = run(made)
    assert shape(decision.next) == [("compress-history-1-1-1", "compress", "fast")]
    (step,) = decision.next.steps
    read = step.assignment.messages[-1].content
    assert "- PORT_8085" in read  # a fact of the system message that stands in the old turns
    assert made.messages[2].content.strip() in read
    assert decision.next.patience.timeout_s == 60


def test_system_message_and_last_turn_are_sent_as_they_came():
    made = conversation(LONG)
    short = said("They asked about PORT_8085.", decisions=["It is open."])
    decision, _ = run(made, short)
    (answer,) = decision.next.steps
    system, told, taken, last = answer.assignment.messages
    assert (system, last) == (SYSTEM, LAST)
    assert (told.role, taken.role) == ("user", "assistant")
    assert "They asked about PORT_8085." in told.content
    assert "Decided:\n- It is open." in told.content
    assert not decision.next.ends_job
    assert decision.next.needs_all

    decision, _ = run(made, short, "It is now.")
    assert isinstance(decision.next, JobAnswer)
    assert decision.next.done.text == "It is now."
    assert decision.next.usage is None  # that of all steps
    found = decision.next.facts["compression"]
    old = sum(words(turn.content) for turn in made.messages[1:3])
    kept = {**dict.fromkeys(LISTS, 0), "decisions": 1, "facts": 1}
    assert found == {
        "before": old,
        "after": words(told.content) + words(taken.content),
        "passes": 1,
        "model": "fast",
        "kept": kept,
    }


@pytest.mark.parametrize("bad", ["Nice!", said("It loses the name."), said("It invents 77.")])
def test_where_no_pass_does_the_window_decides(bad):
    decision, _ = run(conversation(LONG), bad, bad)
    assert shape(decision.next) == [("compress-history-3-1-1", "compress", "fast")]
    decision, _ = run(conversation(LONG), bad, bad, bad)  # 6,000 of 8,192: the answer gets the rest
    assert shape(decision.next) == [("answer", "answer", "m")]
    assert decision.next.steps[0].assignment is None
    assert not decision.next.ends_job  # its steps are told
    decision, _ = run(conversation(9000), bad, bad, bad)
    assert isinstance(decision.next, JobFailure)
    assert decision.next.error.code == "COMPRESSION_FAILED"


def test_a_last_turn_that_is_too_long_is_refused_with_both_numbers():
    last = Message("user", "why " * 9000)
    decision, _ = run(conversation(LONG, last=last))
    error = decision.next.error
    assert error.code == "CONTEXT_BUDGET_EXCEEDED"
    assert (error.details["budget"], error.details["compression_attempted"]) == (8192, False)
    assert error.details["current_tokens"] > 15_000


def test_a_compressor_that_may_succeed_later_is_asked_again():
    decision, _ = run(conversation(LONG), ("", {"error": RETRIABLE}))
    assert shape(decision.next) == [("compress-history-1-1-1.2", "compress", "fast")]


def test_without_a_counter_the_conversation_is_sent_as_it_came():
    decision = decide(conversation(LONG), MODE, [], None, None)
    assert decision.next.steps[0].assignment is None


def test_a_conversation_is_told_apart():
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    turns = (
        SYSTEM,
        Message("user", "one"),
        Message("assistant", None, tool_calls=(call,)),
        Message("tool", "1", tool_call_id="c"),
        Message("user", "two"),
        Message("assistant", "three"),
    )
    parts = Conversation.of(turns)
    assert (parts.system, parts.last) == ((SYSTEM,), turns[4:])
    assert parts.old_text() == 'user: one\n\nassistant: calls f({"a": 1})\n\ntool: 1'
    assert Conversation.of((SYSTEM,)).old == ()


def test_what_is_made_of_a_conversation_is_never_kept_for_another():
    decision, _ = run(conversation(LONG))
    assert [step.assignment.reusable for step in decision.next.steps] == [False]
