"""Texts that are too long are shortened before the next step: what is planned, kept and refused."""

import json

import pytest

from orchestration.context import facts
from orchestration.context.compression import SCHEMA
from orchestration.context.planning import Planner
from orchestration.modes.debate import Debate
from orchestration.modes.ensemble import Ensemble
from orchestration.modes.pipeline import Pipeline
from orchestration.modes.rounds import JobAnswer, JobFailure, Round
from orchestration.prompts.rendering import Prompts
from orchestration.rounds.policy import decide, state_before
from presets.budgets import Budgets
from tests.support.finished_steps import FINAL, RETRIABLE, ended, job, shape, user
from tests.support.word_counter import WordCounter, budgets_of, words
from workers.constraints import grammar
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.errors import NoWorker
from workers.contract.job import Message

MODE = Pipeline(Prompts(Pipeline.templates))
LISTS = ("decisions", "constraints", "open_questions", "evidence", "errors")
#: The windows of the three stages, and of the model that shortens.
WINDOWS = {"a": 8192, "b": 32_768, "c": 16_384, "fast": 8192}
#: A second stage in which 3,000 tokens leave the answer less than its part.
NARROW = {**WINDOWS, "b": 4096}


def said(context, **lists):
    return json.dumps({**dict.fromkeys(LISTS, ()), **lists, "context": context})


def text(count, word="word"):
    """So many words, no two sentences alike."""
    return " ".join(
        f"{word}{'.' if at % 9 == 8 else ''}" if at % 3 else letters(at) for at in range(count)
    )


def letters(at):
    """A word of letters that no other number has."""
    name = ""
    while True:
        name = chr(ord("a") + at % 26) + name
        at //= 26
        if not at:
            return name


def made_job(request="Describe it.", system=None, **bounds):
    made = job(
        "pipeline",
        "draft:a",
        "refine:b",
        "validate:c",
        request=request,
        fast_model="fast",
        **bounds,
    )
    if system is None:
        return made
    messages = (Message("system", system), *made.messages)
    return type(made)(
        **{**{name: getattr(made, name) for name in made.__slots__}, "messages": messages}
    )


def run(made, *texts, mode=MODE, windows=WINDOWS, counter=None):
    """Let rounds end with these texts in turn; a list is those of a round's steps."""
    planner = Planner(counter or WordCounter(), budgets_of(**windows))
    done, next_, kept = [], mode.plan(made), {}
    decision = None
    for number, round_texts in enumerate(texts, start=1):
        listed = round_texts if isinstance(round_texts, list) else [round_texts]
        assert len(listed) == len(next_.steps), shape(next_)
        for planned, each in zip(next_.steps, listed, strict=True):
            each, how = each if isinstance(each, tuple) else (each, {})
            done.append(ended(planned, number, each, **how))
        decision = decide(made, mode, done, kept.get(state_before(done)), planner)
        kept[number], next_ = decision.handoff, decision.next
    return decision, done


def parts_of(decision, step):
    plan = decision.plans[step].to_dict()
    assert plan["window"] >= sum(part["got"] for part in plan["parts"].values())
    return plan["parts"]


def test_the_schema_is_one_that_engines_hold():
    assert grammar.check(Constraint(ConstraintKind.JSON_SCHEMA, SCHEMA)) == ()


def test_a_pipeline_over_windows_of_8k_32k_and_16k():
    """What fits passes with its trajectory; what does not is shortened before the next stage."""
    made = made_job()
    first = text(1000)
    decision, _ = run(made, first)
    # 1,000 words keep to their part of 32K: only what they settle is read.
    assert shape(decision.next) == [("extract-draft", "extract", "fast")]
    nothing = json.dumps({name: [] for name in LISTS[:4]})
    decision, _ = run(made, first, nothing)
    assert shape(decision.next) == [("refine", "refine", "b")]
    budgets = Budgets.of_context(WINDOWS["b"])
    parts = parts_of(decision, "refine")
    assert parts["handoff"] == {"budget": budgets.handoff, "asked": 1000, "got": 1000}
    assert parts["generation"]["got"] == budgets.generation
    assert "Step 2/3: refine" in decision.next.steps[0].assignment.messages[0].content

    # 6,000 words are over their part, 1,900, and leave the answer's whole all the same.
    borrows = text(6000)
    decision, _ = run(made, first, nothing, borrows, nothing)
    assert shape(decision.next) == [("answer", "validate", "c")]
    validate = Budgets.of_context(WINDOWS["c"])
    parts = parts_of(decision, "answer")
    assert parts["handoff"] == {"budget": validate.handoff, "asked": 6000, "got": 6000}
    assert parts["generation"]["got"] == validate.generation

    second = text(8000)
    decision, _ = run(made, first, nothing, second)
    assert [name for name, _, _ in shape(decision.next)] == [
        "compress-refine-1-1-2",
        "compress-refine-1-2-2",
    ]
    for step in decision.next.steps:
        assert step.model == "fast"
        prompt = sum(words(turn.content) for turn in step.assignment.messages)
        assert prompt + step.assignment.sampling.max_tokens <= WINDOWS["fast"]
    short = text(700)
    decision, _ = run(made, first, nothing, second, [said(short), said("The rest.")])
    assert shape(decision.next) == [("answer", "validate", "c")]
    assert short in user(decision.next.steps[0])
    assert second not in user(decision.next.steps[0])
    parts = parts_of(decision, "answer")
    assert parts["handoff"] == {"budget": validate.handoff, "asked": 8000, "got": 702}
    assert decision.handoff.compressed_context == f"{short}\nThe rest."
    answer, done = run(made, first, nothing, second, [said(short), said("The rest.")], "Done.")
    assert answer.next.done is done[-1]


def test_a_text_that_the_reader_cannot_take_is_handed_on_unread():
    """It fits the next stage, and not the window of the model that would read it."""
    made = made_job()
    decision, _ = run(made, text(9000), windows={**WINDOWS, "a": 16_384})
    assert shape(decision.next) == [("refine", "refine", "b")]
    assert parts_of(decision, "refine")["handoff"]["got"] == 9000


def test_a_document_of_100000_tokens_through_the_budgets_of_a_long_window():
    made = made_job(request=text(100_000))
    windows = {"a": 131_072, "b": 131_072, "c": 131_072, "fast": 131_072}
    counter = WordCounter()
    decision, _ = run(made, "A short draft.", windows=windows, counter=counter)
    assert shape(decision.next) == [("refine", "refine", "b")]
    parts = parts_of(decision, "refine")
    assert parts["user_query"]["got"] > 100_000
    assert parts["user_query"]["budget"] == 32_000  # a share: only the window refuses a question
    assert parts["generation"]["got"] < parts["generation"]["asked"]
    draft = parts_of(decision, "draft")
    assert draft["user_query"]["got"] >= 100_000
    assert draft["handoff"]["got"] == 0
    assert sum(counter.calls) <= 1.3 * 2 * 100_000  # of two prompts, each counted once


def test_what_was_sent_without_a_plan_is_told_once_it_has_ended():
    """A first step; and one that is done again, with the text that was handed to it."""
    made = made_job()
    decision, _ = run(made, ("", {"error": RETRIABLE}))
    assert decision.plans == {}
    first = text(1000)
    nothing = json.dumps({name: [] for name in LISTS[:4]})
    again = [("", {"error": RETRIABLE}), "A finer one."]
    decision, _ = run(made, first, nothing, *again)
    assert parts_of(decision, "draft")["handoff"]["got"] == 0
    assert parts_of(decision, "refine.2")["handoff"]["got"] == 1000
    assert "refine" not in decision.plans  # the test kept no plan, and it failed


def test_members_of_one_model_that_are_asked_the_same_are_counted_once():
    cast = ("member:a", "member:a", "member:b", "synthesiser:a", "judge:c")
    bounds = {
        "quorum": 0,
        "grace_s": 1.0,
        "timeout_s": 9.0,
        "min_agreement": 0.0,
        "on_dissent": "answer",
    }
    made = job("ensemble", *cast, request=text(1000), **bounds)
    counter = WordCounter()
    mode = Ensemble(Prompts(Ensemble.templates))
    decision, _ = run(made, ["Snow."] * 3, mode=mode, counter=counter)
    members = [name for name in decision.plans if name.startswith("member")]
    assert len(members) == 3
    assert len({json.dumps(decision.plans[name].to_dict()) for name in members}) == 2
    assert sum(count >= 1000 for count in counter.calls) == 2


def test_what_a_window_can_never_hold_is_refused_with_both_numbers():
    made = made_job(request=text(20_000))
    decision, done = run(made, "A draft.", windows={**WINDOWS, "a": 32_768, "b": 8192})
    assert isinstance(decision.next, JobAnswer)
    assert decision.next.done is done[0]
    error = decision.next.error
    assert error.code == "CONTEXT_BUDGET_EXCEEDED"
    assert error.details["budget"] == 8192
    assert error.details["current_tokens"] > 20_000
    assert error.details["compression_attempted"] is False


@pytest.mark.parametrize("small", ["b", "fast"], ids=["the_stage", "the_compressor"])
def test_a_window_smaller_than_the_template_itself_is_refused(small):
    decision, done = run(made_job(), text(3000), windows={**NARROW, small: 32})
    error = decision.next.error
    assert error.code == "CONTEXT_BUDGET_EXCEEDED"
    assert error.details["budget"] == 32 < error.details["current_tokens"]
    assert decision.next.done is done[0]


def test_what_still_does_not_fit_says_that_it_was_tried():
    made = made_job(request=text(7_900))
    windows = {**WINDOWS, "b": 8192, "fast": 16_384}
    decision, _ = run(made, text(3000), windows=windows)
    assert shape(decision.next) == [("compress-draft-1-1-1", "compress", "fast")]
    decision, _ = run(
        made, text(3000), said(text(60), constraints=[text(40)] * 1 + ["x " * 90]), windows=windows
    )
    assert decision.next.error.code == "CONTEXT_BUDGET_EXCEEDED"
    assert decision.next.error.details["compression_attempted"] is True


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("Nice!", "form"),
        ("{}", "form"),
        (json.dumps({**dict.fromkeys(LISTS, ()), "context": 5}), "form"),
        (said("Short.", decisions=["x" * 999]), "form"),
        (said("Short.", decisions=["x"] * 99), "form"),
        (said(" "), "empty"),
        (said("It is. " * 50), "repeats"),
        (said("27 November 2026, BRIDGE_9."), "says nothing"),
        (said("14", decisions=["14", "27 November 2026"]), "says nothing"),
        (said("It is one.", decisions=["BRIDGE_9", "27 November 2026"]), "loses"),
        (said("It cost 77 million."), "invents 77"),
        (said(text(4000)), "no shorter"),
        (said("The bridge is long."), "loses"),
        ((said("Short."), {"reason": "length"}), "cut off"),
        (("", {"error": FINAL}), "it broke"),
    ],
)
def test_a_pass_that_fails_is_made_again_and_three_of_them_are_the_end(bad, why):
    long = f"Keep to BRIDGE_9 of 27 November 2026. {text(3000)}"
    made = made_job(system="Everything is about BRIDGE_9, from 27 November 2026.")
    names = [f"compress-draft-{number}-1-1" for number in (1, 2, 3)]
    for count, name in enumerate(names):
        decision, _ = run(made, long, *[bad] * count, windows=NARROW)
        assert [step.name for step in decision.next.steps] == [name]
    decision, done = run(made, long, bad, bad, bad, windows=NARROW)
    assert isinstance(decision.next, JobAnswer)
    assert decision.next.done.text == done[0].text
    assert decision.next.error.code == "COMPRESSION_FAILED"
    assert why in decision.next.error.message
    assert decision.next.error.details["current_tokens"] == words(long)
    good = said("It is BRIDGE_9, as of 27 November 2026.")
    decision, _ = run(made, long, bad, bad, good, windows=NARROW)
    assert shape(decision.next) == [("refine", "refine", "b")]


def test_passes_go_on_from_each_other_until_the_target_is_met():
    made = made_job()
    decision, _ = run(made, text(3000), said(text(2500)), windows=NARROW)
    assert [step.name for step in decision.next.steps] == ["compress-draft-2-1-1"]
    assert text(2500) in user(decision.next.steps[0])
    decision, _ = run(made, text(3000), said(text(2500)), said(text(1800)), windows=NARROW)
    parts = parts_of(decision, "refine")
    assert parts["handoff"]["budget"] < parts["handoff"]["got"] == 1800
    assert parts["generation"]["got"] == parts["generation"]["budget"]
    far = [said(text(2900)), said(text(2800)), said(text(2700))]
    decision, _ = run(made, text(3000), *far, windows=NARROW)
    assert decision.next.error.code == "COMPRESSION_FAILED"


def test_a_compressor_is_told_the_target_less_ten_per_cent_and_what_to_keep():
    made = made_job(system="Say `port 8085` and max_tokens.")
    long = f"It listens on port 8085 with max_tokens set. {text(3000)}"
    decision, _ = run(made, long, windows=NARROW)
    (step,) = decision.next.steps
    budgets = Budgets.of_context(NARROW["b"])
    target = int((budgets.handoff + budgets.trajectory) * 0.9)
    told = int(user(step).split("in at most ")[1].split()[0])
    assert 0.5 * target < told < target
    for fact in ("\n- port 8085", "\n- max_tokens"):
        assert fact in user(step)
    assert "\n- 8085" not in user(step)  # the longer one says it
    assert step.assignment.sampling.constraint.source == SCHEMA


def test_what_was_kept_goes_into_the_fields_of_the_state():
    found = {
        "decisions": ["It is made of steel."],
        "constraints": ["It carries trains."],
        "open_questions": ["Who pays?"],
        "evidence": ["made of steel"],
        "errors": ["The first sum was wrong."],
    }
    decision, _ = run(made_job(), text(3000), said("A bridge.", **found), windows=NARROW)
    state = decision.handoff
    assert state.decisions_made == ("It is made of steel.",)
    assert state.constraints == ("It carries trains.",)
    assert state.open_questions == ("Who pays?",)
    assert state.evidence_refs == ("made of steel",)
    assert state.active_errors == ("The first sum was wrong.",)
    assert state.compressed_context == "A bridge."
    system = decision.next.steps[0].assignment.messages[0].content
    assert all(f"- {entry}" in system for entry in (*found["decisions"], *found["errors"]))


def test_lists_of_all_passes_are_kept():
    passes = [said(text(2500), decisions=["It is A."]), said("Short.", decisions=["It is B."])]
    decision, _ = run(made_job(), text(3000), *passes, windows=NARROW)
    assert decision.handoff.decisions_made == ("It is A.", "It is B.")


def test_lists_of_many_parts_are_put_together_with_the_text():
    found = [[f"Part {letters(part)} has {letters(at)}." for at in range(8)] for part in (1, 2)]
    parts = [said(f"It is {letters(part)}.", decisions=found[part]) for part in (0, 1)]
    decision, _ = run(
        made_job(), text(1000), json.dumps({name: [] for name in LISTS[:4]}), text(8000), parts
    )
    assert shape(decision.next) == [("answer", "validate", "c")]
    for entries in found:
        assert all(entry in user(decision.next.steps[0]) for entry in entries)


def test_a_text_that_was_shortened_is_the_answer_as_it_was_written():
    decision, done = run(
        made_job(), text(3000), said("Short."), ("", {"error": FINAL}), windows=NARROW
    )
    assert decision.next.done.text == done[0].text == text(3000)


def test_a_compressor_that_may_succeed_later_is_asked_again_in_the_same_pass():
    failed = ("", {"error": RETRIABLE})
    decision, _ = run(made_job(), text(3000), failed, windows=NARROW)
    assert [step.name for step in decision.next.steps] == ["compress-draft-1-1-1.2"]
    decision, _ = run(made_job(), text(3000), failed, said("Short."), windows=NARROW)
    assert shape(decision.next) == [("refine", "refine", "b")]


def test_all_texts_of_a_debate_are_shortened_at_once():
    cast = ("participant:a", "participant:b", "judge:a", "reconciler:a")
    bounds = {"max_rounds": 2, "quorum": 0, "grace_s": 1.0, "timeout_s": 9.0, "fast_model": "fast"}
    made = job("debate", *cast, **bounds)
    mode = Debate(Prompts(Debate.templates))
    texts = [text(2000, "snow"), text(2000, "rain")]
    decision, _ = run(made, texts, mode=mode, windows=dict.fromkeys("ab", 4096))
    assert [step.name for step in decision.next.steps] == [
        "compress-participant-1-1-1-1-1",
        "compress-participant-2-1-1-1-1",
    ]
    shorter = [said("It is snow."), said("It is rain.")]
    decision, _ = run(made, texts, shorter, mode=mode, windows=dict.fromkeys("ab", 4096))
    assert shape(decision.next) == [("judge-1", "judge", "a")]
    assert "It is snow." in user(decision.next.steps[0])


def test_an_ensemble_whose_answers_cannot_be_put_together_gives_the_one_most_support():
    cast = ("member:a", "member:b", "synthesiser:a", "judge:c")
    bounds = {
        "quorum": 0,
        "grace_s": 1.0,
        "timeout_s": 9.0,
        "min_agreement": 0.0,
        "on_dissent": "answer",
    }
    made = job("ensemble", *cast, request=text(8000), **bounds)
    mode = Ensemble(Prompts(Ensemble.templates))
    windows = {"a": 8200, "b": 32_768, "c": 32_768}
    texts = ["The cause is the rain, I say.", "Snow is what has caused it."]
    judged = json.dumps({"groups": [1, 2], "agreed": [], "conflicts": []})
    decision, done = run(made, texts, judged, mode=mode, windows=windows)
    assert decision.next.done is done[0]
    assert decision.next.error.code == "CONTEXT_BUDGET_EXCEEDED"


def test_without_a_counter_that_answers_the_round_is_decided_all_the_same():
    class Away(WordCounter):
        def count_messages(self, model, messages, template=None):
            raise NoWorker

    with pytest.raises(NoWorker):
        run(made_job(), "A draft.", counter=Away())


def test_a_mode_that_insists_on_what_cannot_run_has_failed():
    class Stubborn(Pipeline):
        def advance(self, job, history):
            return Round((self._stage(job, 1, Pipeline.templates[0], history.handoff),))

    made = made_job(request=text(20_000))
    mode = Stubborn(Prompts(Pipeline.templates))
    decision, _ = run(made, "A draft.", mode=mode, windows={**WINDOWS, "b": 8192})
    assert isinstance(decision.next, JobFailure)


@pytest.mark.parametrize(
    "fact",
    [
        "42",
        "3.14",
        "2026-11-27",
        "10:30",
        "27 November 2026",
        "Nov 27, 2026",
        "192.168.0.1",
        "https://example.org/a?b=c",
        "someone@example.org",
        "/etc/hosts",
        "a quoted string",
        "INFERENCE_HOST",
        "max_tokens",
        "camelCase",
        "HTTP",
        "Q8_0",
    ],
)
def test_what_counts_as_a_fact(fact):
    written = f'He said "{fact}".' if " quoted" in fact else f"It is {fact}, as told."
    found = facts.facts(written)
    assert fact in found
    assert facts.stands(fact, written)
    assert not facts.stands("4", "42")
    assert not facts.stands("cat", "concatenate")


def test_a_first_pass_over_what_a_model_wrote_may_be_kept_and_a_hotter_one_is_not():
    long = text(3000)
    decision, _ = run(made_job(), long, windows=NARROW)
    (first,) = decision.next.steps
    assert (first.part, first.assignment.reusable) == ("compress", True)
    assert first.assignment.sampling.temperature == 0
    decision, _ = run(made_job(), long, "no JSON", windows=NARROW)
    (second,) = decision.next.steps
    assert second.assignment.sampling.temperature > 0
