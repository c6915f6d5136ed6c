"""Contamination: signs that a step's text should not be handed on. Pure.

What it can see: that a model speaks of its own failure instead of answering (markers), and that
more has gone wrong than steps have gone by. What it cannot see: a wrong statement made with
confidence.
A contradiction with what was decided before is seen only where a model is asked for it: the critic
of mode `critique`, for whom it bars a revision (`critique.py`), and the fast model where the
settings say so (`context/contradictions.py`).
"""

from __future__ import annotations

from orchestration.validation import Issue, IssueType, Severity, ValidationResult

#: A model says so of its own answer, seldom of anything else.
MARKERS = (
    "I apologize",
    "I made an error",
    "That's incorrect",
    "hallucination",
    "I don't have information about",
)
#: The longest word of each: a text without any of them, which is quickly seen, has no marker.
_WORDS = tuple(max(mark.split(), key=len).casefold() for mark in MARKERS)


def examine(
    text: str,
    request: str,
    *,
    active_errors: int = 0,
    current_step: int = 1,
) -> ValidationResult:
    """Look at the text of a step that ends as the job's step number `current_step`.

    A marker that the request itself contains is no sign: then the text is about it. One marker is a
    warning; two, or more active errors than steps, are high.
    """
    folded = text.casefold()
    plain = _plain(text) if any(word in folded for word in _WORDS) else ""
    asked = _plain(request)
    markers = [mark for mark in MARKERS if _plain(mark) in plain and _plain(mark) not in asked]
    severity = Severity(min(len(markers), int(Severity.HIGH)))
    issues = [Issue(IssueType.ERROR_MARKER, severity, marker=mark) for mark in markers]
    count = active_errors + len(markers)
    if count > current_step:
        issues.append(Issue(IssueType.ACCUMULATION, Severity.HIGH, count=count))
    return ValidationResult(tuple(issues))


def _plain(text: str) -> str:
    return " ".join(text.replace("\u2019", "'").casefold().split())
