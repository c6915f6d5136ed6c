"""Chat templates: messages to the prompt that the model was trained on."""

from __future__ import annotations

import datetime
import json
import logging
from typing import Any, NoReturn

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from workers.contract.errors import ModelLoadFailed, ValidationFailed
from workers.contract.job import Message

log = logging.getLogger(__name__)

#: ChatML, for files without a template; llama.cpp assumes the same.
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


class ChatTemplate:
    """A compiled template, sandboxed: it comes with the model file. Safe from several threads."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        """Compile a template.

        Raises:
            ModelLoadFailed: it is no valid Jinja.
        """
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = _strftime_now
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise ModelLoadFailed(f"The model's chat template cannot be read: {error}") from error
        self._special = {"bos_token": bos, "eos_token": eos}

    def render(self, messages: tuple[Message, ...]) -> str:
        """The prompt, up to where the assistant's answer begins.

        Raises:
            ValidationFailed: the template refuses these messages; its words are in the message.
        """
        turns = [message.to_dict() for message in messages]
        try:
            return self._template.render(
                messages=turns, add_generation_prompt=True, tools=None, **self._special
            )
        except (jinja2.TemplateError, TypeError, ValueError, LookupError) as error:
            raise ValidationFailed(
                f"The model's chat template refuses these messages: {error}",
                details={"param": "messages"},
            ) from error


def _to_json(value: Any, indent: int | None = None) -> str:
    # Jinja's own escapes for HTML, which no model was trained on.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.datetime.now(datetime.UTC).strftime(form)
