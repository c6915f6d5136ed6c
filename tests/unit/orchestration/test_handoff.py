"""The state between rounds, the prompts of steps, and signs of contamination."""

import pytest

from orchestration import handoff
from orchestration.contamination import MARKERS, examine
from orchestration.handoff import HandoffState
from orchestration.modes import registry
from orchestration.modes.pipeline import REFINE
from orchestration.prompts.rendering import Prompts
from orchestration.prompts.template import DRAFT, PromptError, Template
from orchestration.prompts.trajectory import Trajectory, describe
from orchestration.rounds import handoff_store
from orchestration.validation import Severity
from tests.support.finished_steps import job
from workers.contract.errors import HandoffStateInvalid
from workers.contract.job import Job, Message


@pytest.fixture
def state():
    return handoff.begin(job("pipeline", "draft:a", "validate:b"), 2)


@pytest.mark.parametrize(
    "field", [name for name in HandoffState.__dataclass_fields__ if name != "open_questions"]
)
def test_a_missing_field_is_named(state, field):
    stored = state.to_dict()
    del stored[field]
    with pytest.raises(HandoffStateInvalid, match=field):
        HandoffState.from_dict(stored)


@pytest.mark.parametrize(("field", "value"), [("current_step", "1"), ("decisions_made", [1])])
def test_a_wrong_field_is_named(state, field, value):
    with pytest.raises(HandoffStateInvalid, match=field):
        HandoffState.from_dict({**state.to_dict(), field: value})


class Kept:
    """Handoffs that are all this JSON."""

    def __init__(self, found):
        self._found = found

    def get(self, job_id, round_):
        return self._found


def test_what_is_no_state_is_refused_and_what_is_lost_is_none():
    with pytest.raises(HandoffStateInvalid):
        handoff_store.load(Kept([]), "chatcmpl-1", 1)
    assert handoff_store.load(Kept(None), "chatcmpl-1", 1) is None


def test_constraints_are_the_callers(state):
    turns = (Message("system", "Be brief."), Message("user", "x" * 1000))
    begun = handoff.begin(Job("chatcmpl-1", "m", turns, created=1), 2)
    assert begun.constraints == ("Be brief.",)
    assert len(begun.goal) < 700


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("Paris.", Severity.NONE),
        ("I APOLOGIZE, Paris.", Severity.WARNING),
        ("That\u2019s   incorrect.", Severity.WARNING),
        ("I apologize, I made an error.", Severity.HIGH),
        *((marker, Severity.WARNING) for marker in MARKERS),
    ],
)
def test_markers(text, severity):
    assert examine(text, "What is it?").severity is severity


def test_a_result_says_what_was_found_and_what_to_do():
    assert examine("I apologize: 4.", "x").to_dict() == {
        "valid": True,
        "recommendation": "proceed",
        "issues": [
            {"type": "error_marker_detected", "severity": "warning", "marker": "I apologize"}
        ],
    }
    bad = examine("I apologize, I made an error.", "x", current_step=2)
    assert bad.to_dict() == {
        "valid": False,
        "recommendation": "quarantine",
        "issues": [
            {"type": "error_marker_detected", "severity": "high", "marker": marker}
            for marker in ("I apologize", "I made an error")
        ],
    }
    again = bad.repeated().to_dict()
    assert {issue["severity"] for issue in again["issues"]} == {"critical"}
    assert again["recommendation"] == "quarantine"


def test_a_marker_that_was_asked_about_is_none():
    assert examine("A hallucination is...", "What is a hallucination?").severity is Severity.NONE


@pytest.mark.parametrize(("errors", "step", "high"), [(1, 1, False), (2, 1, True), (2, 2, False)])
def test_errors_add_up(errors, step, high):
    result = examine("x", "y", active_errors=errors, current_step=step)
    assert result.valid != high
    count = [{"type": "error_accumulation", "severity": "high", "count": errors}]
    assert result.to_dict()["issues"] == (count if high else [])


def test_the_conversation_stays_and_the_last_message_goes_into_the_template():
    turns = (
        Message("system", "Be brief."),
        Message("user", "one"),
        Message("assistant", "two"),
        Message("user", "three"),
    )
    made = Job("chatcmpl-1", "m", turns, created=1)
    messages = Prompts([REFINE]).messages(
        made, REFINE, describe(["draft", "refine"], 2), previous="DRAFT"
    )
    assert [turn.role for turn in messages] == ["system", "user", "assistant", "user"]
    assert messages[0].content.startswith("Be brief.\n\nGoal: three\nStep 2/2: refine")
    assert "three" in messages[3].content
    assert "DRAFT" in messages[3].content


def test_an_operators_template_is_used_instead(tmp_path):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "draft.jinja").write_text("Please: {{ request }}")
    prompts = Prompts([DRAFT], tmp_path)
    messages = prompts.messages(job("pipeline", "draft:a"), DRAFT, Trajectory(1, 1, "x"))
    assert messages[-1].content == "Please: What is it?"


@pytest.mark.parametrize("wrong", ["{{ nothing }}", "{% if %}"])
def test_a_template_that_cannot_be_used_is_named_at_start(tmp_path, wrong):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "revise.jinja").write_text(wrong)
    with pytest.raises(PromptError, match=r"revise\.jinja"):
        registry.load(tmp_path)


def test_two_templates_of_one_name_are_refused():
    with pytest.raises(PromptError, match="draft: two templates"):
        Prompts([DRAFT, Template("draft", "another", {})])
