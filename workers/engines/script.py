"""Scripts of the scripted engine: what one request is to do, and where a request says it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.contract import keys
from workers.contract.errors import BY_CODE, EngineFailed, ValidationFailed
from workers.contract.job import Message
from workers.engines.base import GenerationRequest
from workers.engines.tool_calls import registry

#: The answer where none is scripted.
PANGRAM = "The quick brown fox jumps over the lazy dog. "
#: A token is a word with the white space after it.
TOKEN = re.compile(r"\S+\s*|\s+")
#: Where a script begins, whatever stands around it.
_BEGIN = re.compile(r'\{\s*"scripted"')


@dataclass(frozen=True, slots=True)
class Script:
    """What one request does."""

    text: str = PANGRAM
    #: What its prompt ends with: an opening tag here, and the text begins as a thought.
    prompt_end: str = ""
    #: The family of calls by which they are found in the text, where the request offers tools.
    calls: str = registry.FALLBACK
    #: Say the text again and again until `max_tokens`.
    repeat: bool = False
    #: Tokens of so many bytes instead of words: characters are cut over their borders.
    token_bytes: int | None = None
    tokens_per_s: float = 1000.0
    #: Seconds before the first token.
    prefill_s: float = 0.0
    #: Length of the prompt; None: its words are counted.
    prompt_tokens: int | None = None
    #: Fail after this many tokens,
    fail_after: int | None = None
    #: with this code; others wait as long before they are tried again as their class says.
    fail_with: str = EngineFailed.code
    #: Kill the process after this many tokens.
    die_after: int | None = None
    #: Produce nothing more after this many tokens, and ignore a cancel too.
    hang_after: int | None = None

    def overridden(self, changes: Mapping[str, Any]) -> Script:
        """The script with some fields replaced.

        Raises:
            ValidationFailed: there is no such field, or its value is of no use.
        """
        known = {f.name for f in dataclasses.fields(self)}
        if unknown := set(changes) - known:
            raise ValidationFailed(
                f"The scripted engine knows no {', '.join(sorted(unknown))}; "
                f"it knows {', '.join(sorted(known))}.",
                details={"param": "messages"},
            )
        for name, value in changes.items():
            if not _fits(name, value):
                raise ValidationFailed(
                    f"The scripted engine can do nothing with {name}={value!r}.",
                    details={"param": "messages"},
                )
        return dataclasses.replace(self, **changes)

    def tokens(self) -> list[bytes]:
        """The text as tokens; a token's id is its place in this list."""
        if self.token_bytes is None:
            return [word.encode() for word in TOKEN.findall(self.text)]
        raw = self.text.encode()
        return [raw[at : at + self.token_bytes] for at in range(0, len(raw), self.token_bytes)]


#: The least value of every number in a script.
_LEAST = {
    "token_bytes": 1,  # nosec B105 # a number of bytes
    "tokens_per_s": 0.01,
    "prefill_s": 0,
    "prompt_tokens": 0,
    "fail_after": 0,
    "die_after": 0,
    "hang_after": 0,
}
#: What a script may also take back.
_OPTIONAL = {"token_bytes", "prompt_tokens", "fail_after", "die_after", "hang_after"}


def _fits(name: str, value: Any) -> bool:
    if value is None:
        return name in _OPTIONAL
    if name == "fail_with":
        return value in BY_CODE
    if name == "calls":
        return value in registry.families()
    if name in ("text", "prompt_end"):
        return isinstance(value, str) and (value != "" or name != "text")
    if name == "repeat":
        return isinstance(value, bool)
    kind = float if name.endswith("_s") else int
    is_number = isinstance(value, int | kind) and not isinstance(value, bool)
    return is_number and value >= _LEAST[name]


def asked(request: GenerationRequest, model: str) -> Mapping[str, Any]:
    """What the last user message or the prompt scripts for this step of this model, if it does."""
    last, answered = _last_question(request.messages)
    if request.prompt is not None:
        last = request.prompt.text
    begin = _BEGIN.search(last)
    if begin is None:
        return {}
    try:
        script = json.JSONDecoder().raw_decode(last, begin.start())[0]["scripted"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    if not isinstance(script, dict):
        return {}
    _, step = keys.split_lease_member(request.id)
    of_models, of_steps = script.pop("models", None), script.pop("steps", None)
    of_turn = _turn(script.pop("turns", None), answered)
    for override in (
        _member(of_models, model),
        _member(of_steps, step.partition(".")[0]),
        _member(of_steps, step),
        of_turn,
    ):
        script |= override if isinstance(override, dict) else {}
    return script


def _last_question(messages: Sequence[Message]) -> tuple[str, int]:
    """The last user message, and how many answers there are after it: calls of tools."""
    answered = 0
    for message in reversed(messages):
        if message.role == "user":
            return message.content or "", answered
        answered += message.role == "assistant"
    return "", answered


def _member(changes: Any, name: str) -> Any:
    return changes.get(name) if isinstance(changes, dict) else None


def _turn(turns: Any, answered: int) -> Any:
    """The turn after so many answers; the last one goes on."""
    return turns[min(answered, len(turns) - 1)] if isinstance(turns, list) and turns else None
