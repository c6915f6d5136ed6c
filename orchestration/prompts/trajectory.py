"""The trajectory: where a step stands in its job's plan, and what it is to decide there.

Every step's system message says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.prompts.template import Template

#: What comes after the last step, and what no step may do.
LAST = "the answer is given to the user"
FORBIDDEN = (
    "do not speak of these steps, of other models or of this plan; do not answer another question "
    "than the user's"
)
TRAJECTORY = Template(
    "trajectory",
    """\
{% if system %}
{{ system }}

{% endif %}
Goal: {{ goal }}
Step {{ number }}/{{ total }}: {{ name }}
Previous: {{ previous }}
Next: {{ next }}
{% if decided %}
Decided so far, what comes later counts more:
{% for decision in decided %}
- {{ decision }}
{% endfor %}
{% endif %}
{% if decides %}
To decide in this step: {{ decides }}
{% endif %}
Forbidden: {{ forbidden }}
""",
    {
        "system": "s",
        "goal": "g",
        "number": 1,
        "total": 2,
        "name": "draft",
        "previous": "",
        "next": "",
        "decided": ("d",),
        "decides": "d",
        "forbidden": "f",
    },
)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A step's place among the others."""

    number: int
    total: int
    name: str
    previous: str = "none"
    next: str = LAST
    forbidden: str = FORBIDDEN


def describe(steps: Sequence[str], number: int) -> Trajectory:
    """The trajectory of step `number`, from 1, among the named ones."""
    before = steps[number - 2] if number > 1 else "none"
    after = steps[number] if number < len(steps) else LAST
    return Trajectory(number, len(steps), steps[number - 1], before, after)
