"""The scripted engine: fixed text at a fixed pace, faults on demand. No model, no GPU.

For demonstrations, tests and measurements of everything around the engine. What it does comes from
the model's options; a last user message that is a JSON object with the key `scripted` overrides
them for its request:

    {"scripted": {"text": "one two three", "tokens_per_s": 50, "die_after": 2}}
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

from presets.model import ModelSpec
from workers.contract.errors import (
    ContextBudgetExceeded,
    EngineFailed,
    ModelLoadFailed,
    ValidationFailed,
)
from workers.contract.job import Message, Timings, Usage
from workers.engines.base import Delta, EngineOptions, GenerationRequest
from workers.engines.text import TextAssembler

#: The answer where none is scripted.
PANGRAM = "The quick brown fox jumps over the lazy dog. "
#: A token is a word with the white space behind it.
_TOKEN = re.compile(r"\S+\s*|\s+")
#: How often a wait looks whether it was cancelled, in seconds.
_CANCEL_CHECK_S = 0.02


@dataclass(frozen=True, slots=True)
class Script:
    """What one request does."""

    text: str = PANGRAM
    #: Say the text again and again until `max_tokens`.
    repeat: bool = False
    tokens_per_s: float = 1000.0
    #: Seconds before the first token.
    prefill_s: float = 0.0
    #: Length of the prompt; None: its words are counted.
    prompt_tokens: int | None = None
    #: Raise EngineFailed after this many tokens.
    fail_after: int | None = None
    #: Kill the process after this many tokens.
    die_after: int | None = None
    #: Produce nothing more after this many tokens, and do not hear cancel either.
    hang_after: int | None = None

    def overridden(self, changes: Mapping[str, Any]) -> Script:
        """The script with some fields replaced; unknown ones are refused.

        Raises:
            ValidationFailed: there is no such field.
        """
        known = {f.name for f in dataclasses.fields(self)}
        if unknown := set(changes) - known:
            raise ValidationFailed(
                f"The scripted engine knows no {', '.join(sorted(unknown))}; "
                f"it knows {', '.join(sorted(known))}.",
                details={"param": "messages"},
            )
        return dataclasses.replace(self, **changes)


class ScriptedEngine:
    """Answers with its script; each `generate` runs on its caller's thread."""

    def __init__(self, options: EngineOptions) -> None:
        self.context_length = 0
        self.memory_bytes = 0
        self._script = Script()
        self._name = ""
        self._slots = threading.BoundedSemaphore(options.concurrency)
        self._closed = Event()

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """Take the script from `spec.options`; `load_s` delays, `load_error` refuses."""
        settings = dict(spec.options)
        load_s = float(settings.pop("load_s", 0.0))
        load_error = settings.pop("load_error", None)
        settings.pop("concurrency", None)
        for step in range(1, 11):
            self._closed.wait(load_s / 10)
            on_progress(step / 10)
        if load_error:
            raise ModelLoadFailed(str(load_error))
        try:
            self._script = Script().overridden(settings)
        except ValidationFailed as error:
            raise ModelLoadFailed(error.message) from error
        self._name = spec.id
        self.context_length = spec.context_length

    def generate(self, request: GenerationRequest, cancelled: Event) -> Iterator[Delta]:
        """Speak the script; see `Engine.generate`."""
        if self._closed.is_set():
            raise EngineFailed("The engine is closed.")
        script = self._script.overridden(_asked(request.messages))
        prompt_tokens = script.prompt_tokens
        if prompt_tokens is None:
            prompt_tokens = sum(self.count_tokens(m.content or "") for m in request.messages)
        if prompt_tokens >= self.context_length:
            raise ContextBudgetExceeded(
                f"The prompt has {prompt_tokens} tokens; {self._name} takes at most "
                f"{self.context_length}, the answer included.",
                details={
                    "current_tokens": prompt_tokens,
                    "budget": self.context_length,
                    "model": self._name,
                    "compression_attempted": False,
                },
            )
        return self._speak(script, request, prompt_tokens, cancelled)

    def count_tokens(self, text: str) -> int:
        """Words in a text."""
        return len(_TOKEN.findall(text))

    def close(self) -> None:
        """End all generations."""
        self._closed.set()

    def _speak(
        self, script: Script, request: GenerationRequest, prompt_tokens: int, cancelled: Event
    ) -> Iterator[Delta]:
        asked_at = time.perf_counter()
        with self._slots:
            begun_at = time.perf_counter()
            words = _TOKEN.findall(script.text)
            limit = self.context_length - prompt_tokens
            if request.sampling.max_tokens is not None:
                limit = min(limit, request.sampling.max_tokens)
            natural = limit if script.repeat else len(words)
            text = TextAssembler(request.sampling.stop)
            for position in range(len(request.produced)):
                text.push(words[position % len(words)].encode())
            produced = len(request.produced)
            first_at = begun_at + script.prefill_s
            due = first_at
            reason = None
            while reason is None:
                if text.stopped or produced >= natural < limit:
                    reason = "stop"
                elif produced >= limit:
                    reason = "length"
                elif not self._wait_until(due, cancelled):
                    reason = "cancelled"
                else:
                    _fault(script, produced)
                    shown = text.push(words[produced % len(words)].encode())
                    token = produced % len(words)
                    produced += 1
                    due += 1 / script.tokens_per_s
                    yield Delta(shown, (token,))
            now = time.perf_counter()
            yield Delta(
                text.finish(),
                (),
                reason,
                Usage(prompt_tokens, produced),
                Timings(
                    queued_ms=round((begun_at - asked_at) * 1e3, 3),
                    prefill_ms=round(script.prefill_s * 1e3, 3),
                    decode_ms=round(max(0.0, now - first_at) * 1e3, 3),
                ),
            )

    def _wait_until(self, due: float, cancelled: Event) -> bool:
        """False when the generation is to end instead."""
        while not cancelled.is_set() and not self._closed.is_set():
            left_s = due - time.perf_counter()
            if left_s <= 0:
                return True
            cancelled.wait(min(left_s, _CANCEL_CHECK_S))
        return False


def _asked(messages: tuple[Message, ...]) -> Mapping[str, Any]:
    """What the last user message scripts, if it does."""
    last = next((m.content or "" for m in reversed(messages) if m.role == "user"), "")
    if '"scripted"' not in last:
        return {}
    try:
        asked = json.loads(last)["scripted"]
    except (ValueError, KeyError, TypeError):
        return {}
    return asked if isinstance(asked, dict) else {}


def _fault(script: Script, produced: int) -> None:
    if produced == script.fail_after:
        raise EngineFailed(f"The script fails after {produced} tokens.")
    if produced == script.die_after:
        os.kill(os.getpid(), signal.SIGKILL)
    if produced == script.hang_after:
        Event().wait()
