"""Rendering: from a job and a template to the conversation that a step's model is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from orchestration.handoff import HandoffState, goal
from orchestration.prompts.compression import COMPRESS
from orchestration.prompts.handoff import HANDOFF, Known
from orchestration.prompts.history import HISTORY
from orchestration.prompts.readers import CONTRADICTIONS, EXTRACT
from orchestration.prompts.template import PromptError, Template
from orchestration.prompts.trajectory import TRAJECTORY, Trajectory
from workers.contract.job import Job, Message

#: Templates of no mode: every step's, and those of the steps between the modes' own.
_SHARED = (TRAJECTORY, HANDOFF, EXTRACT, CONTRADICTIONS, COMPRESS, HISTORY)


class Prompts:
    """The templates, compiled."""

    def __init__(self, templates: Iterable[Template], own: Path | None = None) -> None:
        """Compile templates and try each one; a file in `own`/prompts replaces one of its name.

        Raises:
            PromptError: one cannot be used, or two have one name.
        """
        by_name = _by_name([*_SHARED, *templates])
        texts = {template.file: template.text for template in by_name.values()}
        loaders: list[jinja2.BaseLoader] = [jinja2.DictLoader(texts)]
        if own is not None:
            loaders.insert(0, jinja2.FileSystemLoader(own / "prompts"))
        self._environment = ImmutableSandboxedEnvironment(
            loader=jinja2.ChoiceLoader(loaders),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for template in by_name.values():
            self.render(template, template.sample)

    def messages(
        self,
        job: Job,
        template: Template,
        trajectory: Trajectory,
        handoff: HandoffState | None = None,
        **values: Any,
    ) -> tuple[Message, ...]:
        """The conversation that a step is asked to go on with.

        The caller's, with the trajectory and what was handed on in its system message, and the last
        user message put into the template as `request`; `values` are the template's others. A first
        step has no `handoff`. What stands in the prompt already is not handed on beside it.
        """
        system = "\n\n".join(m.content for m in job.messages if m.role == "system" and m.content)
        place = {
            field.name: getattr(trajectory, field.name) for field in dataclasses.fields(trajectory)
        }
        turns = [turn for turn in job.messages if turn.role != "system"]
        last = turns[-1] if turns and turns[-1].role == "user" else None
        request = last.content or "" if last is not None else goal(job)
        text = self.render(template, {**values, "request": request})
        before = turns[:-1] if last is not None else turns
        known = Known.beside(handoff, f"{system}\n{text}") if handoff is not None else Known()
        place |= {"decided": known.decisions, "decides": template.decides}
        instructions = self.render(TRAJECTORY, {"system": system, "goal": goal(job), **place})
        if known.more:
            instructions = f"{instructions}\n\n{self.render(HANDOFF, known.values())}"
        return (Message("system", instructions), *before, _user(last, text))

    def render(self, template: Template, values: Mapping[str, Any]) -> str:
        """The text of a template with these values.

        Raises:
            PromptError: it cannot be rendered with them.
        """
        try:
            return self._environment.get_template(template.file).render(values).strip()
        except jinja2.TemplateError as error:
            file = getattr(error, "filename", None) or f"prompts/{template.file}"
            raise PromptError(f"{file}: {error}") from error


def _by_name(templates: Iterable[Template]) -> dict[str, Template]:
    by_name: dict[str, Template] = {}
    for template in templates:
        if by_name.setdefault(template.name, template) is not template:
            raise PromptError(f"{template.name}: two templates have this name")
    return by_name


def _user(last: Message | None, text: str) -> Message:
    return Message("user", text) if last is None else dataclasses.replace(last, content=text)
