"""A model's chat template: compiled, tried once, then rendered for every request."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeGuard

from jinja2 import Template

from workers.contract.errors import InferenceError, ModelLoadFailed, ValidationFailed
from workers.contract.job import Message, TemplateOptions
from workers.contract.tools import Tool
from workers.engines.chat_template import meter, traced_text
from workers.engines.chat_template.functions import RefusedByTemplate
from workers.engines.chat_template.meter import Meter, TooCostly
from workers.engines.chat_template.sandbox import TemplateEnvironment
from workers.engines.chat_template.traced_text import TracedText
from workers.engines.chat_template.turns import Forms, callers, turns
from workers.engines.time_budget import Cancelled, TimeBudget

#: ChatML, for files without a template; llama.cpp assumes the same.
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
#: The longest templates have 30 KB.
_LONGEST_SOURCE = 500_000
#: Stands for a text in the conversations that a template is tried with.
_PROBE = "Probe7c1d"
#: Ids of calls: of the form that templates of Mistral insist on, and as OpenAI makes them.
_SHORT_ID, _LONG_ID = "probe7c1d", "call_probe7c1dprobe7c1dprobe7"
_PHASE = "rendering the chat template"
_DEFAULTS = TemplateOptions()


class ChatTemplate:
    """A compiled template, sandboxed: it comes with the model file. Safe from several threads."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        """Compile a template and find out how it wants its messages.

        Raises:
            ModelLoadFailed: it is no valid Jinja, does not end, or cannot render one question.
        """
        if len(source) > _LONGEST_SOURCE:
            raise ModelLoadFailed(
                f"The model's chat template has {len(source)} characters; at most "
                f"{_LONGEST_SOURCE} are read."
            )
        environment = TemplateEnvironment()
        try:
            self._template = _compile(environment, source)
        except Exception as error:
            raise ModelLoadFailed(
                f"The model's chat template cannot be read: {_named(error)}"
            ) from error
        self._special = {"bos_token": traced_text.own(bos), "eos_token": traced_text.own(eos)}
        self._own_texts = set(environment.literals)
        #: It shows the model a system message, and the tools that it is given.
        self.shows_system = self.shows_tools = True
        self._forms = self._probed()
        #: What the template writes by itself: the texts that stand in it, and what it joined of
        #: them and of roles when it was tried.
        self.own_texts = frozenset(self._own_texts)

    def render(
        self,
        messages: tuple[Message, ...],
        options: TemplateOptions = _DEFAULTS,
        budget: TimeBudget | None = None,
        tools: tuple[Tool, ...] = (),
    ) -> TracedText:
        """The prompt, up to where the answer begins. `tools`: what the template is to show.

        Raises:
            ValidationFailed: the template refuses these messages; its words are in the message.
            TimeBudgetExceeded: it took too long.
            workers.engines.time_budget.Cancelled: nobody waits any longer.
        """
        budget = budget or TimeBudget()
        budget.phase = _PHASE
        try:
            if not options.continue_final_message:
                return self._render(messages, self._forms, options, budget, tools)
            return self._continued(messages, options, budget, tools)
        except (InferenceError, Cancelled):
            raise
        except RefusedByTemplate as refusal:
            raise _refused(f"refuses these messages: {str(refusal)[:2000]}") from refusal
        except TooCostly as error:
            raise _refused(f"cannot be rendered with these messages: {error}") from error
        except Exception as error:
            raise _refused(f"cannot render these messages: {_named(error)}") from error

    def _render(
        self,
        messages: Iterable[Message],
        forms: Forms,
        options: TemplateOptions,
        budget: TimeBudget,
        tools: tuple[Tool, ...] = (),
    ) -> TracedText:
        conversation = turns(messages, forms)
        variables: dict[str, Any] = {
            **callers(dict(options.variables)),
            "messages": conversation,
            "tools": callers([tool.to_dict() for tool in tools]) or None,
            "documents": None,
            "add_generation_prompt": options.add_generation_prompt,
            **self._special,
        }
        length = _characters([conversation, variables])
        with meter.measured(Meter(budget, length)):
            context = self._template.new_context(variables)
            return traced_text.join(self._template.root_render_func(context))

    def _continued(
        self,
        messages: tuple[Message, ...],
        options: TemplateOptions,
        budget: TimeBudget,
        tools: tuple[Tool, ...],
    ) -> TracedText:
        """The prompt, up to the end of the last message's text, as transformers cuts it."""
        last = messages[-1]
        text = last.content or ""
        # A text that no caller can have sent; the space shows whether the template trims.
        mark = f"{secrets.token_hex(16)} "
        marked = (*messages[:-1], replace(last, content=text + mark))
        rendered = self._render(marked, self._forms, options, budget, tools)
        at = rendered.rfind(mark.strip())
        if at < 0 or text.strip() not in rendered[:at]:
            raise ValidationFailed(
                "The model's chat template does not render the last message as it is, so that it "
                "cannot be continued.",
                details={"param": "continue_final_message"},
            )
        is_trimmed = rendered[at : at + len(mark)] != mark
        return rendered[:at].rstrip() if is_trimmed else rendered[:at]

    def _probed(self) -> Forms:
        """How the template wants its messages; tried with conversations of every shape.

        Raises:
            ModelLoadFailed: not even one question can be rendered.
        """
        budget = TimeBudget()
        budget.phase = _PHASE
        ask, answer = Message("user", _PROBE), Message("assistant", _PROBE)
        conversations = {
            "user": (ask,),
            "system": (Message("system", _PROBE), Message("user", "Hi")),
            "assistant": (Message("user", "Hi"), answer, Message("user", "Hi")),
        }
        in_parts: set[str] = set()
        for role, conversation in conversations.items():
            as_text = self._tried(conversation, Forms(), budget)
            if _shows_probe(as_text):
                continue
            as_parts = self._tried(conversation, Forms(in_parts=frozenset({role})), budget)
            if _shows_probe(as_parts):
                in_parts.add(role)
            elif role == "system":
                self.shows_system = False
            elif role == "user" and _is_broken(as_text) and _is_broken(as_parts):
                raise ModelLoadFailed(
                    f"The model's chat template is broken: {_named(as_text)}."
                ) from as_text
        forms = Forms(frozenset(in_parts))
        tool = Tool(_PROBE, "x", {"type": "object", "properties": {"x": {"type": "string"}}})
        question = (Message("user", "Hi"),)
        self.shows_tools = _shows_probe(self._tried(question, forms, budget, (tool,)))
        return self._forms_of_calls(forms, budget)

    def _forms_of_calls(self, forms: Forms, budget: TimeBudget) -> Forms:
        """The same with how it wants the calls of a history."""
        as_text = replace(forms, arguments_as_text=True)
        if not _shows_probe(self._tried(_with_call(_SHORT_ID), forms, budget)):
            if not _shows_probe(self._tried(_with_call(_SHORT_ID), as_text, budget)):
                return forms
            forms = as_text
        takes_any_id = _shows_probe(self._tried(_with_call(_LONG_ID), forms, budget))
        return replace(forms, short_ids=not takes_any_id)

    def _tried(
        self,
        messages: tuple[Message, ...],
        forms: Forms,
        budget: TimeBudget,
        tools: tuple[Tool, ...] = (),
    ) -> TracedText | Exception:
        """What the template makes of a conversation, or what it raises.

        Raises:
            ModelLoadFailed: it does not end, or not within its bounds.
        """
        try:
            rendered = self._render(messages, forms, _DEFAULTS, budget, tools)
        except (TooCostly, InferenceError) as error:
            raise ModelLoadFailed(f"The model's chat template is broken: {error}.") from error
        except Exception as error:  # noqa: BLE001 - a template may raise anything
            return error
        self._own_texts.update(traced_text.own_runs(rendered))
        return rendered


def _with_call(call_id: str) -> tuple[Message, ...]:
    """A conversation with a call."""
    function = {"name": "f", "arguments": f'{{"{_PROBE}": "x"}}'}
    call = {"id": call_id, "type": "function", "function": function}
    return (
        Message("user", "Hi"),
        Message("assistant", tool_calls=(call,)),
        Message("tool", "x", name="f", tool_call_id=call_id),
    )


def _shows_probe(rendered: TracedText | Exception) -> bool:
    return isinstance(rendered, TracedText) and _PROBE in rendered


def _is_broken(rendered: TracedText | Exception) -> TypeGuard[Exception]:
    return isinstance(rendered, Exception) and not isinstance(rendered, RefusedByTemplate)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:500]}"


def _compile(environment: TemplateEnvironment, source: str) -> Template:
    code = environment.compile(source)
    return Template.from_code(environment, code, dict(environment.globals))


def _characters(value: Any) -> int:
    """The characters of a value's texts."""
    count, level = 0, [value]
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                count += len(item)
            elif isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = below
    return count


def _refused(what: str) -> ValidationFailed:
    return ValidationFailed(f"The model's chat template {what}", details={"param": "messages"})
