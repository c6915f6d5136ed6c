"""How one model is talked to: its chat template, the form of its thoughts and of its calls."""

from __future__ import annotations

import logging

from presets.model import ModelSpec
from workers.contract.job import Message
from workers.engines import reasoning
from workers.engines.answer_form import AnswerForm, Calls
from workers.engines.base import GenerationRequest
from workers.engines.chat_template.template import CHATML, ChatTemplate
from workers.engines.chat_template.traced_text import TracedText
from workers.engines.time_budget import TimeBudget
from workers.engines.tool_calls import registry
from workers.engines.tool_calls.base import TokenOf
from workers.engines.tool_calls.prompt import as_text

log = logging.getLogger(__name__)


class Dialogue:
    """Makes of a request its prompt, and says how its answer is read. Safe from several threads."""

    def __init__(self, spec: ModelSpec, source: str, template: ChatTemplate) -> None:
        """`template`: the compiled `source`."""
        self._template = template
        #: What the template writes by itself.
        self.own_texts = template.own_texts
        self._reasoning = spec.reasoning
        self._family = registry.find(spec.tools, source)
        #: The template shows tools, calls and their results; else they are told as text.
        self._shows_tools = template.shows_tools and self._family.name != registry.FALLBACK
        #: What must be text in an answer even where it is a special token.
        self.tags: tuple[str, ...] = (*reasoning.tags(spec.reasoning), *self._family.marks)

    @classmethod
    def of(cls, spec: ModelSpec, own_template: str | None, bos: str, eos: str) -> Dialogue:
        """That of a model, by the catalogue's template, else by its `own_template`."""
        source = spec.chat_template or own_template
        if not source:
            log.warning("%s has no chat template; ChatML is assumed", spec.id)
            source = CHATML
        return cls(spec, source, ChatTemplate(source, bos, eos))

    def prompt(self, request: GenerationRequest, budget: TimeBudget) -> TracedText:
        """The prompt, up to where the answer begins.

        Raises:
            ValidationFailed: the template refuses these messages; its words are in the message.
            TimeBudgetExceeded: it took too long.
            workers.engines.time_budget.Cancelled: nobody waits any longer.
        """
        tools = request.tools
        if self._shows_tools:
            offered = () if tools is None else tools.offered
            return self._template.render(request.messages, request.template, budget, offered)
        messages = as_text(request.messages, self._family, tools)
        if not self._template.shows_system and messages[0] is not request.messages[0]:
            messages = _without_system(messages)
        return self._template.render(tuple(messages), request.template, budget)

    def form(self, request: GenerationRequest, prompt: str, token_of: TokenOf) -> AnswerForm:
        """How the answer after a prompt is read, and to what it is held.

        What a model makes of a caller's own prompt is text, its thoughts too.

        Raises:
            ValidationFailed: nothing can be held to the request's constraint.
            UnsupportedParameter: its constraint does not go with its tools.
        """
        form, tools = AnswerForm(), request.tools
        if request.prompt is None:
            calls = Calls(self._family, tools, request.id) if tools and tools.offered else None
            told = str.__str__(prompt) if self._reasoning is not None else ""
            form = AnswerForm(self._reasoning, told, calls)
        return form.holding(request.sampling.constraint, token_of)


def _without_system(messages: list[Message]) -> list[Message]:
    """The first two messages in one of the user's: the template shows no system message."""
    system, *rest = messages
    if system.role != "system":
        return messages
    question = rest[0].content if rest and rest[0].role == "user" else None
    content = "\n\n".join(filter(None, (system.content, question)))
    return [Message("user", content), *rest[0 if question is None else 1 :]]
