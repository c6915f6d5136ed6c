"""The layout of prompts: whatever the messages, no plan exceeds its window, none loses a turn."""

from hypothesis import given
from hypothesis import strategies as st

from orchestration.context.handed_on import HandedOn
from orchestration.context.layout import LEAST_ANSWER, PromptPlan, Sizes
from orchestration.context.pieces import pieces
from orchestration.context.planning import Planner
from orchestration.handoff import begin
from orchestration.modes.rounds import FinishedStep, Round, Step
from orchestration.prompts.rendering import Prompts
from presets.budgets import PARTS, Budgets
from tests.support.finished_steps import ended, job
from tests.support.word_counter import WordCounter, budgets_of, words
from workers.contract.errors import ContextBudgetExceeded
from workers.contract.job import Message
from workers.contract.sampling import Sampling
from workers.contract.step import Assignment

WINDOWS = st.integers(min_value=1024, max_value=140_000)
COUNTS = st.integers(min_value=0, max_value=200_000)


@st.composite
def plans(draw):
    budgets = Budgets.of_context(draw(WINDOWS))
    system, trajectory, handoff, rest = (draw(COUNTS) for _ in range(4))
    sizes = Sizes(system, trajectory, handoff, system + trajectory + handoff + rest)
    asked = draw(st.integers(min_value=1, max_value=200_000))
    return PromptPlan(budgets, sizes, handoff + draw(COUNTS), asked)


@given(plans())
def test_no_plan_exceeds_its_window(plan):
    told = plan.to_dict()
    assert set(told["parts"]) == set(PARTS)
    assert sum(part["budget"] for part in told["parts"].values()) == told["window"]
    got = sum(part["got"] for part in told["parts"].values())
    if plan.fits:
        assert got <= told["window"]
        assert plan.generation >= LEAST_ANSWER
    else:
        assert plan.generation <= LEAST_ANSWER
    for part in told["parts"].values():
        assert part["got"] <= part["asked"]


@given(plans())
def test_what_has_no_excess_fits_and_keeps_to_its_parts(plan):
    budgets, sizes = plan.budgets, plan.sizes
    if plan.excess >= sizes.handoff > 0:
        return  # no shortening is enough
    if plan.excess and sizes.handoff:  # shortening it by that is enough
        rest = sizes.handoff - plan.excess
        less = Sizes(sizes.system, sizes.trajectory, rest, sizes.prompt - plan.excess)
        assert PromptPlan(budgets, less, plan.asked_handoff, plan.asked_generation).excess == 0
    elif not plan.excess:
        assert plan.fits
        together = sizes.trajectory + sizes.handoff
        within = together <= budgets.trajectory + budgets.handoff
        assert within or sizes.handoff <= budgets.handoff // 2


@given(plans())
def test_texts_borrow_only_what_leaves_the_answer_its_part(plan):
    """Over their part they stay, if the answer gets all that it asks for, up to its own part."""
    share = min(plan.asked_generation, plan.budgets.generation)
    if plan.crowded:
        assert plan.excess
        assert plan.generation < share
    elif plan.sizes.handoff and plan.excess:
        assert plan.generation >= share
    else:
        assert plan.fits or not plan.sizes.handoff


TEXTS = st.text(alphabet="ab \n.", min_size=1, max_size=400)


@given(TEXTS, st.integers(min_value=1, max_value=9))
def test_pieces_lose_nothing_of_a_text(text, count):
    parts = pieces(text, count)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert len(parts) <= count


@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXTS), max_size=4),
    TEXTS,
    st.integers(min_value=0, max_value=9000),
    st.integers(min_value=1024, max_value=9000),
)
def test_whatever_is_planned_the_last_turn_stays_and_the_window_holds(before, last, long, window):
    """What a round is planned with is sent as it is, shortened first, or refused; never cut."""
    handed = "w" + " x" * long
    turns = (Message("system", "s"), *(Message(*turn) for turn in before))
    messages = (*turns, Message("user", f"{last}\n{handed}"))
    step = Step("refine", "refine", "m", Assignment(messages, Sampling()))
    made = job("pipeline", "draft:m", "refine:m")
    source = HandedOn(ended(Step("draft", "draft", "m"), 1, handed), None, begin(made, 2))
    planner = Planner(WordCounter(), budgets_of(m=window))
    fitting = planner.fit(Prompts([]), made, Round((step,)), [source])
    plan = fitting.plans["refine"]
    if fitting.refused:
        assert isinstance(fitting.refused["refine"], ContextBudgetExceeded)
        return
    if not fitting.compressions:
        assert plan.fits
        assert step.assignment.messages[-1].content.startswith(last)
        got = plan.to_dict()["parts"]
        assert sum(part["got"] for part in got.values()) <= window
        return
    together = []
    for shortening in fitting.compressions:
        said = sum(words(turn.content) for turn in shortening.assignment.messages)
        assert said + shortening.assignment.sampling.max_tokens <= window
        together.append(shortening.assignment.messages[-1].content)
    assert sum(text.count(" x") for text in together) >= long - len(together)


def test_planning_counts_a_long_question_once():
    question = "why " * 10_000
    messages = (Message("system", "Goal: x"), Message("user", question))
    step = Step("draft", "draft", "m", Assignment(messages, Sampling()))
    counter = WordCounter()
    planner = Planner(counter, budgets_of(m=131_072))
    fitting = planner.fit(Prompts([]), job("pipeline", "draft:m"), Round((step,)), [])
    assert sum(counter.calls) <= 1.3 * words(question)
    assert fitting.plans["draft"].to_dict()["parts"]["user_query"]["got"] == 10_000


def test_a_refused_step_has_failed_before_it_ran():
    refused = FinishedStep.refused(Step("a", "a", "m"), ContextBudgetExceeded("no"))
    assert not refused.usable
    assert refused.error.code == "CONTEXT_BUDGET_EXCEEDED"
