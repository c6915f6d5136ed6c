"""A conversation's parts: what is always read as it was sent, and the old turns between. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.contract.job import Message


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of a request, told apart."""

    system: tuple[Message, ...]
    #: What was said before the last question.
    old: tuple[Message, ...]
    #: The last user's message, and what follows it.
    last: tuple[Message, ...]

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Conversation:
        """Tell them apart; without a user's message all turns are the last ones."""
        asked = [at for at, turn in enumerate(messages) if turn.role == "user"]
        begin = asked[-1] if asked else 0
        before = messages[:begin]
        system = tuple(turn for turn in before if turn.role == "system")
        old = tuple(turn for turn in before if turn.role != "system")
        return cls(system, old, tuple(messages[begin:]))

    def old_text(self) -> str:
        """The old turns as one text."""
        return "\n\n".join(f"{turn.role}: {said}" for turn in self.old if (said := _said(turn)))


def _said(turn: Message) -> str:
    calls = (_call(each) for each in turn.tool_calls or ())
    return "\n".join(part for part in (turn.content or "", *calls) if part)


def _call(call: Mapping[str, Any]) -> str:
    function = call.get("function") or {}
    return f"calls {function.get('name')}({_text(function.get('arguments'))})"


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def text_of(messages: Iterable[Message]) -> str:
    """What messages say, one after the other."""
    return "\n\n".join(turn.content for turn in messages if turn.content)
