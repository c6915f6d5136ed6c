"""The commands within a conversation: `/help` and those it lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import click
import httpx

from web.cli.chat.conversation import Conversation, models
from web.cli.chat.options import SETTABLE

_RESET = "default"


class Leave(Exception):
    """The user leaves the conversation."""


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """One command: what is typed after it, what it does, and how."""

    arguments: str
    meaning: str
    run: Callable[[Conversation, httpx.Client, str], str]


def run(conversation: Conversation, client: httpx.Client, line: str) -> str:
    """Run the command on a line that begins with a slash; returns what to print.

    Raises:
        Leave: it was `/bye`.
        Refused: the service refuses.
        httpx.HTTPError: no service answers.
    """
    name, _, rest = line[1:].partition(" ")
    name = _SHORT.get(name, name)
    if name not in COMMANDS:
        return f"There is no command /{name}. /help lists the commands."
    return COMMANDS[name].run(conversation, client, rest.strip())


def _help(*_: object) -> str:
    rows = [(f"/{name} {command.arguments}", command.meaning) for name, command in COMMANDS.items()]
    rows += [
        ('"""', 'Begin a text of several lines; """ ends it. A \\ at its end continues a line.'),
        ("//", "Begin a message with / itself."),
        ("Ctrl-C", "Stop the answer, or clear the line."),
        ("Ctrl-D", "Leave."),
    ]
    return "\n".join(f"{typed:<20} {meaning}" for typed, meaning in rows)


def _bye(*_: object) -> str:
    raise Leave


def _clear(conversation: Conversation, *_: object) -> str:
    conversation.messages.clear()
    return "The conversation begins anew."


def _load(conversation: Conversation, client: httpx.Client, name: str) -> str:
    known = models(client)
    if name not in known:
        listed = ", ".join(model for model, status in known.items() if status == "loaded")
        problem = f"There is no model {name!r}." if name else "Name a model."
        return f"{problem} Loaded: {listed or 'none'}."
    conversation.model = name
    if known[name] == "loaded":
        return f"{name} answers from now on."
    return f"{name} answers from now on. Its state is: {known[name]}."


def _set(conversation: Conversation, client: httpx.Client, rest: str) -> str:
    name, _, value = rest.removeprefix("parameter ").strip().partition(" ")
    value = value.strip()
    if not name:
        return _shown(conversation)
    if not value:
        return f"Give a value, or: /set {name} {_RESET}"
    if name == "system":
        conversation.system = None if value == _RESET else value
    elif name == "reasoning":
        try:
            conversation.shows_reasoning = value == _RESET or click.BOOL.convert(value, None, None)
        except click.BadParameter:
            return "/set reasoning takes on or off."
    elif name in SETTABLE:
        field, kind, default = SETTABLE[name]
        try:
            chosen = default if value == _RESET else kind.convert(value, None, None)
        except click.BadParameter as problem:
            return f"/set {name}: {problem.message}"
        conversation.options[field] = chosen
    else:
        return f"There is no option {name!r}. The options are: {', '.join(_OPTIONS)}."
    return f"{name} is {_value(conversation, name)}."


def _shown(conversation: Conversation, *_: object) -> str:
    values = {"model": conversation.model}
    values |= {name: _value(conversation, name) for name in _OPTIONS}
    return "\n".join(f"{name:<12} {value}" for name, value in values.items())


def _value(conversation: Conversation, name: str) -> str:
    if name == "system":
        return conversation.system or "(none)"
    if name == "reasoning":
        return "on" if conversation.shows_reasoning else "off"
    chosen = conversation.options.get(SETTABLE[name][0])
    return "(the service's default)" if chosen is None else str(chosen)


_OPTIONS = ("system", "reasoning", *SETTABLE)
COMMANDS = {
    "help": SlashCommand("", "List the commands.", _help),
    "set": SlashCommand("[NAME VALUE]", "Show the options, or change one.", _set),
    "show": SlashCommand("", "Show the model and the options.", _shown),
    "load": SlashCommand("MODEL", "Let another model answer.", _load),
    "clear": SlashCommand("", "Forget what was said.", _clear),
    "bye": SlashCommand("", "Leave.", _bye),
}
#: Other names of the same.
_SHORT = {"?": "help", "exit": "bye", "quit": "bye", "new": "clear", "model": "load"}
