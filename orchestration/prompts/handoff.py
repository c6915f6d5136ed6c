"""What is handed on, in a step's prompt: all that is known, beside the text that it works on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orchestration.handoff import HandoffState
from orchestration.prompts.template import Template

HANDOFF = Template(
    "handoff",
    """\
{% if constraints %}
Every answer keeps to this:
{% for constraint in constraints %}
- {{ constraint }}
{% endfor %}
{% endif %}
{% if evidence %}
What this rests on:
{% for quote in evidence %}
- "{{ quote }}"
{% endfor %}
{% endif %}
{% if questions %}
Still open:
{% for question in questions %}
- {{ question }}
{% endfor %}
{% endif %}
{% if errors %}
Found to be wrong so far, and not to be repeated:
{% for error in errors %}
- {{ error }}
{% endfor %}
{% endif %}
""",
    {"constraints": ("c",), "evidence": ("e",), "questions": ("q",), "errors": ("e",)},
)


@dataclass(frozen=True, slots=True)
class Known:
    """What of a handoff a prompt has to say."""

    decisions: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @classmethod
    def beside(cls, handoff: HandoffState, prompt: str) -> Known:
        """All that is known, without what this prompt has word for word."""
        there = _plain(prompt)

        def missing(entries: Iterable[str]) -> tuple[str, ...]:
            return tuple(entry for entry in entries if _plain(entry) not in there)

        return cls(
            missing(handoff.decisions_made),
            missing(handoff.constraints),
            missing(handoff.evidence_refs),
            missing(handoff.open_questions),
            missing(handoff.active_errors),
        )

    @property
    def more(self) -> bool:
        """Whether there is anything beside decisions, which the trajectory has."""
        return any((self.constraints, self.evidence, self.questions, self.errors))

    def values(self) -> dict[str, Any]:
        """The values of `HANDOFF`."""
        return {
            "constraints": self.constraints,
            "evidence": self.evidence,
            "questions": self.questions,
            "errors": self.errors,
        }


def _plain(text: str) -> str:
    return " ".join(text.split())
