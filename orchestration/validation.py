"""The check between two steps: what was found in a step's text, and whether it is handed on. Pure.

A result is shown to callers as

    {"valid": false, "recommendation": "quarantine", "issues": [
        {"type": "error_marker_detected", "severity": "high", "marker": "I made an error"}]}
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Any


class Severity(enum.IntEnum):
    """What is done with the text."""

    #: Nothing was found.
    NONE = 0
    #: It is handed on, and what was found with it.
    WARNING = 1
    #: It is put aside, and the step is done once more without what came before it.
    HIGH = 2
    #: It was high again: the job ends with what it has.
    CRITICAL = 3


class IssueType(enum.StrEnum):
    """What was found."""

    #: The text speaks of its own failure; the issue has the `marker`.
    ERROR_MARKER = "error_marker_detected"
    #: It contradicts what was settled before; the issue has the `decision`.
    CONTRADICTION = "contradiction_detected"
    #: More is wrong than steps have gone by; the issue has the `count` of open errors.
    ACCUMULATION = "error_accumulation"


class Recommendation(enum.StrEnum):
    """Whether the text is handed on."""

    PROCEED = "proceed"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that was found."""

    type: IssueType
    severity: Severity
    marker: str | None = None
    decision: str | None = None
    count: int | None = None

    def __str__(self) -> str:
        """A half sentence, after the name of the step."""
        if self.type is IssueType.ERROR_MARKER:
            return f"says {self.marker!r}"
        if self.type is IssueType.CONTRADICTION:
            return f"contradicts: {self.decision}"
        return f"brings the open errors to {self.count}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        found = {"marker": self.marker, "decision": self.decision, "count": self.count}
        return {
            "type": self.type.value,
            "severity": self.severity.name.lower(),
            **{name: value for name, value in found.items() if value is not None},
        }


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What was found in one text."""

    issues: tuple[Issue, ...] = ()

    @property
    def severity(self) -> Severity:
        """The worst of its issues."""
        return max((issue.severity for issue in self.issues), default=Severity.NONE)

    @property
    def valid(self) -> bool:
        """Whether the text can be handed on."""
        return self.severity < Severity.HIGH

    @property
    def recommendation(self) -> Recommendation:
        """What is to become of the text; one that was streamed cannot be put aside any more."""
        return Recommendation.PROCEED if self.valid else Recommendation.QUARANTINE

    def repeated(self) -> ValidationResult:
        """The same of a step that was done once more for it: what was high is critical."""
        return ValidationResult(
            tuple(
                replace(issue, severity=Severity.CRITICAL)
                if issue.severity is Severity.HIGH
                else issue
                for issue in self.issues
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """What callers are shown."""
        return {
            "valid": self.valid,
            "recommendation": self.recommendation.value,
            "issues": [issue.to_dict() for issue in self.issues],
        }
