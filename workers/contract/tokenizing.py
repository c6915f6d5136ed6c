"""Counting tokens: what is asked of the tokenizer process, and what it answers. Both are JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from workers.contract.fields import known_fields
from workers.contract.job import Message, TemplateOptions, messages_from
from workers.contract.tools import Tools

_DEFAULTS = TemplateOptions()


class TokenCounter(Protocol):
    """What counts with a model's own tokenizer and chat template, whether it is loaded or not."""

    def count_messages(
        self, model: str, messages: Sequence[Message], template: TemplateOptions = _DEFAULTS
    ) -> int:
        """Tokens of the whole prompt, as a worker of the model reads these messages.

        Raises:
            ModelLoadFailed: the model has no tokenizer here.
            ValidationFailed: its template refuses these messages.
            TimeBudgetExceeded: it took too long.
            TemporaryResource, NoWorker: the tokenizer is busy, or away.
            redis.RedisError: Redis is away.
        """

    def count_prompt(
        self,
        model: str,
        messages: Sequence[Message],
        texts: Sequence[str],
        template: TemplateOptions = _DEFAULTS,
    ) -> tuple[int, tuple[int, ...]]:
        """Tokens of the whole prompt, and of each text that it is made of: both, on one way.

        Raises:
            InferenceError, redis.RedisError: as `count_messages`.
        """

    def count_texts(self, model: str, texts: Sequence[str]) -> tuple[int, ...]:
        """Tokens of each text alone: none is added, and none in it is special.

        Raises:
            ModelLoadFailed, TimeBudgetExceeded, TemporaryResource, NoWorker, redis.RedisError: as
                `count_messages`.
        """


@dataclass(frozen=True, slots=True)
class TokenizerCall:
    """What is asked of the tokenizer: messages, prompt, texts or ids; or messages and texts."""

    model: str
    #: A conversation, as the model's template renders it.
    messages: tuple[Message, ...] = ()
    template: TemplateOptions = field(default_factory=TemplateOptions)
    tools: Tools | None = None
    #: A caller's own whole prompt, in which special tokens are read as such.
    prompt: str | None = None
    #: Begin the prompt with the token that the model's texts begin with, if it has one.
    add_special: bool = True
    #: Texts that are only counted; with messages, after these.
    texts: tuple[str, ...] | None = None
    #: Ids whose text is asked for.
    token_ids: tuple[int, ...] | None = None
    #: The ids of messages or prompt are asked for, and not only how many they are.
    wants_ids: bool = False

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict; ids are not looked at one by one, as `asdict` would."""
        data = dataclasses.asdict(dataclasses.replace(self, token_ids=None))
        return {**data, "token_ids": self.token_ids}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TokenizerCall:
        """Rebuild what `to_dict` wrote."""
        known = known_fields(cls, data)
        known["messages"] = messages_from(data.get("messages", ()))
        known["template"] = TemplateOptions(
            **known_fields(TemplateOptions, data.get("template", {}))
        )
        if tools := data.get("tools"):
            known["tools"] = Tools.from_dict(tools)
        for name in ("texts", "token_ids"):
            if (items := data.get(name)) is not None:
                known[name] = tuple(items)
        return cls(**known)
