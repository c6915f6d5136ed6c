"""Prompts of the steps, from Jinja templates that an operator can replace one by one.

`<catalogue dir>/prompts/<name>.jinja` is used instead of the template of that name here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from orchestration.handoff import goal
from workers.contract.job import Job, Message

#: Every template, and values with which it is tried at start-up.
TEMPLATES: dict[str, dict[str, Any]] = {
    "trajectory": {
        "system": "s",
        "goal": "g",
        "number": 1,
        "total": 2,
        "name": "draft",
        "previous": "",
        "next": "",
        "forbidden": "f",
    },
    "draft": {"request": "r"},
    "refine": {"request": "r", "previous": "p"},
    "expand": {"request": "r", "previous": "p"},
    "code": {"request": "r", "previous": "p"},
    "validate": {"request": "r", "previous": "p"},
    "debate": {"request": "r", "previous": "p", "others": ("o",)},
    "reconcile": {"request": "r", "answers": ("a",), "agreed": ("a",), "conflicts": ("c",)},
    "synthesise": {
        "request": "r",
        "answers": ("a",),
        "votes": ({"answer": "a", "count": 2},),
        "agreed": ("a",),
        "conflicts": ("c",),
        "dissents": True,
    },
    "judge": {"request": "r", "answers": ("a",)},
    "critique": {"request": "r", "previous": "p", "decisions": ("d",)},
    "revise": {"request": "r", "previous": "p", "defects": ({"problem": "p", "quote": "q"},)},
}


class PromptError(ValueError):
    """A template cannot be used; the message names its file and why."""


#: What comes behind the last step, and what no step may do.
LAST = "the answer is given to the user"
FORBIDDEN = (
    "do not speak of these steps, of other models or of this plan; do not answer another question "
    "than the user's"
)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Where a step stands among the others; told in every step's prompt."""

    number: int
    total: int
    name: str
    previous: str = "none"
    next: str = LAST
    forbidden: str = FORBIDDEN


class Prompts:
    """The templates, compiled."""

    def __init__(self, own: Path | None = None) -> None:
        """Read every template, an operator's own in `own` instead of ours.

        Raises:
            PromptError: one of them cannot be used.
        """
        loaders: list[jinja2.BaseLoader] = [jinja2.PackageLoader("orchestration", "prompts")]
        if own is not None:
            loaders.insert(0, jinja2.FileSystemLoader(own / "prompts"))
        self._environment = ImmutableSandboxedEnvironment(
            loader=jinja2.ChoiceLoader(loaders),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for name, sample in TEMPLATES.items():
            self._render(name, sample)

    def messages(
        self, job: Job, template: str, trajectory: Trajectory, **values: Any
    ) -> tuple[Message, ...]:
        """The conversation that a step is asked to go on with.

        The caller's, with the trajectory in its system message and the last user message put into
        the template as `request`; `values` are the template's others.
        """
        system = "\n\n".join(m.content for m in job.messages if m.role == "system" and m.content)
        told = self._render(
            "trajectory",
            {
                "system": system,
                "goal": goal(job),
                "number": trajectory.number,
                "total": trajectory.total,
                "name": trajectory.name,
                "previous": trajectory.previous,
                "next": trajectory.next,
                "forbidden": trajectory.forbidden,
            },
        )
        turns = [turn for turn in job.messages if turn.role != "system"]
        last = turns[-1] if turns and turns[-1].role == "user" else None
        asked = last.content or "" if last is not None else goal(job)
        text = self._render(template, {**values, "request": asked})
        rest = turns[:-1] if last is not None else turns
        return (Message("system", told), *rest, _user(last, text))

    def _render(self, name: str, values: dict[str, Any]) -> str:
        try:
            return self._environment.get_template(f"{name}.jinja").render(values).strip()
        except jinja2.TemplateError as error:
            where = getattr(error, "filename", None) or f"prompts/{name}.jinja"
            raise PromptError(f"{where}: {error}") from error


def describe(steps: Sequence[str], number: int) -> Trajectory:
    """The trajectory of step `number`, from 1, among the named ones."""
    before = steps[number - 2] if number > 1 else "none"
    behind = steps[number] if number < len(steps) else LAST
    return Trajectory(number, len(steps), steps[number - 1], before, behind)


def _user(last: Message | None, text: str) -> Message:
    return Message("user", text) if last is None else replace(last, content=text)
