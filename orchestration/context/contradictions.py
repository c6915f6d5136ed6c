"""Contradictions: whether a text denies what was decided before it, as the fast model has it. Pure.

The judge is asked where INFERENCE_CONTRADICTION_JUDGE is on and something was decided. It names the
decision, and the quote that denies it; a quote that does not stand in the text counts for nothing.
"""

from __future__ import annotations

from typing import Any

from orchestration.context import reading_steps
from orchestration.context.extraction import SHORT
from orchestration.context.reading_steps import Unreadable
from orchestration.handoff import HandoffState
from orchestration.modes.base import Mode
from orchestration.modes.rounds import CONTRADICTION_JUDGE, FinishedStep, Step
from orchestration.prompts.readers import CONTRADICTIONS
from orchestration.prompts.rendering import Prompts
from orchestration.validation import Issue, IssueType, Severity
from workers.contract.job import Job
from workers.settings import Settings

#: Contradictions that are named at most, and characters of a quote.
MOST, LONGEST = 4, 200
#: Name of the job's bound; it is there where the judge is on.
JUDGES = "contradiction_judge"
_LIST = "contradictions"


def bounds(settings: Settings) -> dict[str, float | str]:
    """What a job keeps of the settings."""
    return {JUDGES: 1} if settings.contradiction_judge else {}


def decisions(mode: Mode, handoff: HandoffState) -> tuple[str, ...]:
    """What was decided; a short text that is handed on whole says itself what it decides."""
    text = handoff.compressed_context.strip()
    whole = (text,) if mode.hands_on_texts and 0 < len(text) <= SHORT else ()
    return (*handoff.decisions_made, *whole)


def needed(job: Job, mode: Mode, source: FinishedStep, handoff: HandoffState) -> bool:
    """Whether a text is to be judged; `handoff` is the state before it."""
    return JUDGES in job.bounds and source.usable and bool(decisions(mode, handoff))


def schema(count: int) -> dict[str, Any]:
    """The form of a judgement about so many decisions."""
    entry = {
        "type": "object",
        "properties": {
            "decision": {"enum": list(range(1, count + 1))},
            "quote": {"type": "string", "minLength": 1, "maxLength": LONGEST},
        },
        "required": ["decision", "quote"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {_LIST: {"type": "array", "maxItems": MOST, "items": entry}},
        "required": [_LIST],
        "additionalProperties": False,
    }


def step(
    prompts: Prompts, job: Job, mode: Mode, source: FinishedStep, handoff: HandoffState
) -> Step:
    """The step that judges a text."""
    decided = decisions(mode, handoff)
    return reading_steps.step(
        prompts,
        job,
        CONTRADICTION_JUDGE,
        source,
        CONTRADICTIONS,
        schema(len(decided)),
        decisions=decided,
    )


def read(done: FinishedStep, source: FinishedStep, decided: tuple[str, ...]) -> list[Issue]:
    """What a judge found in `source`, about these decisions.

    Raises:
        Unreadable: that cannot be used.
    """
    data = reading_steps.said(done)
    plain = " ".join(source.text.split())
    try:
        found = [(entry["decision"], " ".join(entry["quote"].split())) for entry in data[_LIST]]
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable from error
    if any(type(number) is not int or not 1 <= number <= len(decided) for number, _ in found):
        raise Unreadable
    shown = (number for number, quote in found if quote and quote in plain)
    denied = dict.fromkeys(decided[number - 1] for number in shown)
    return [Issue(IssueType.CONTRADICTION, Severity.HIGH, decision=each) for each in denied]
