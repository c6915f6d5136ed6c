"""What long texts settle: read by the fast model between a pipeline's stages."""

import json

import pytest

from orchestration.context import extraction
from orchestration.context.extraction import SCHEMA, SHORT
from orchestration.handoff import HandoffState, Settled, begin
from orchestration.modes.pipeline import Pipeline
from orchestration.prompts.rendering import Prompts
from tests.support.finished_steps import FINAL, RETRIABLE, ended, job, one_by_one, shape, step, user
from workers.constraints import grammar
from workers.contract.constraint import Constraint, ConstraintKind

MODE = Pipeline(Prompts(Pipeline.templates))
LONG = "The bridge is 120 m long and carries 4 lanes. " + "It stands in Porto. " * SHORT
FOUND = {
    "decisions": ["The bridge is 120 m long."],
    "constraints": ["The load is at most 4 lanes."],
    "evidence": ["carries 4 lanes"],
    "open_questions": ["Who pays for it?"],
}
NOTHING = {name: [] for name in FOUND}


def said(**lists):
    return json.dumps({**NOTHING, **lists})


@pytest.fixture
def made():
    return job(
        "pipeline",
        "draft:slow",
        "refine:coder",
        "validate:phi-4",
        request="Describe the bridge.",
        fast_model="fast",
        reading_timeout_s=60,
    )


def run(made, *texts):
    return one_by_one(MODE, made, *texts)


def test_the_schema_is_one_that_engines_hold():
    assert grammar.check(Constraint(ConstraintKind.JSON_SCHEMA, SCHEMA)) == ()


def test_a_short_text_is_not_read(made):
    decision, _ = run(made, "It is in Porto.")
    assert shape(decision.next) == [("refine", "refine", "coder")]
    assert decision.handoff.decisions_made == ()


def test_a_long_text_is_read_by_the_fast_model_before_the_next_stage(made):
    decision, _ = run(made, LONG)
    assert shape(decision.next) == [("extract-draft", "extract", "fast")]
    (reader,) = decision.next.steps
    assert reader.assignment.sampling.constraint.source == SCHEMA
    assert LONG.strip() in user(reader)
    assert "Describe the bridge." in user(reader)
    assert decision.next.patience.timeout_s == 60
    assert decision.assessed == ()


def test_without_a_fast_model_the_steps_own_reads(made):
    own = job("pipeline", "draft:slow", "validate:phi-4")
    decision, _ = run(own, LONG)
    assert shape(decision.next) == [("extract-draft", "extract", "slow")]
    assert decision.next.patience is None


def test_the_next_stage_is_told_what_was_settled_and_what_it_is_to_decide(made):
    decision, _ = run(made, LONG, json.dumps(FOUND))
    assert shape(decision.next) == [("refine", "refine", "coder")]
    (refine,) = decision.next.steps
    assert LONG.strip() in user(refine)
    system = refine.assignment.messages[0].content
    for entry in (*FOUND["decisions"], *FOUND["constraints"], *FOUND["open_questions"]):
        assert f"- {entry}" in system
    assert "To decide in this step: what of the draft stays" in system
    assert FOUND["evidence"][0] not in system  # it stands in the draft, word for word
    assert decision.handoff.decisions_made == ("The bridge is 120 m long.",)
    assert decision.handoff.evidence_refs == ("carries 4 lanes",)
    assert decision.assessed[0].findings["settled"] == FOUND


def test_what_a_later_stage_no_longer_says_is_handed_on_beside_its_text(made):
    decision, _ = run(made, LONG, json.dumps(FOUND), "It is long.")
    (last,) = decision.next.steps
    assert shape(decision.next) == [("answer", "validate", "phi-4")]
    assert LONG.strip() not in user(last)
    assert '- "carries 4 lanes"' in last.assignment.messages[0].content


def test_the_last_stage_is_not_read(made):
    decision, done = run(made, "one", "two", LONG)
    assert decision.next.done is done[-1]


@pytest.mark.parametrize(
    "reading",
    [
        "Nice!",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps({**NOTHING, "decisions": "all of it"}),
        json.dumps({**NOTHING, "decisions": [1]}),
        json.dumps({**NOTHING, "decisions": ["x"] * 99}),
        json.dumps({**NOTHING, "decisions": ["x" * 9999]}),
        (json.dumps(FOUND), {"reason": "length"}),
        ("", {"error": FINAL}),
    ],
)
def test_a_reading_that_cannot_be_used_changes_nothing(made, reading):
    decision, _ = run(made, LONG, reading)
    assert shape(decision.next) == [("refine", "refine", "coder")]
    assert decision.handoff.decisions_made == ()
    assert decision.assessed[0].findings["unread"]


def test_a_reader_that_may_succeed_later_is_asked_again(made):
    decision, _ = run(made, LONG, ("", {"error": RETRIABLE}))
    assert shape(decision.next) == [("extract-draft.2", "extract", "fast")]
    decision, _ = run(made, LONG, ("", {"error": RETRIABLE}), json.dumps(FOUND))
    assert decision.handoff.decisions_made == ("The bridge is 120 m long.",)


def test_what_a_reader_invents_is_dropped():
    source = ended(step("draft"), 1, 'It is 120 m long, since "Porto is wide".')
    reader = ended(
        step("extract-draft", "extract"),
        2,
        said(
            decisions=["It is 120 m long.", "It cost 7 million."],
            evidence=["Porto is wide", "Porto is narrow"],
        ),
    )
    extract = extraction.read(reader, source, "How long?")
    assert extract.settled == Settled(("It is 120 m long.",), (), ("Porto is wide",), ())
    assert set(extract.invented) == {"It cost 7 million.", "Porto is narrow"}


def test_what_was_settled_is_not_said_twice(made):
    state = begin(made, 3).settled(Settled(("It is 4.",)))
    again = state.settled(Settled(("it  is 4.", "It is even.")))
    assert again.decisions_made == ("It is 4.", "It is even.")


def test_a_state_of_the_version_before_has_no_open_questions(made):
    stored = begin(made, 3).to_dict()
    del stored["open_questions"]
    assert HandoffState.from_dict(stored).open_questions == ()
