"""The scripted engine: fixed text at a fixed pace, faults on demand. No model, no GPU.

For demonstrations, tests and measurements of everything around the engine. What it does comes from
the model's options; a JSON object with the key `scripted` in the last user message, or in a prompt,
overrides them for its request:

    {"scripted": {"text": "one two three", "tokens_per_s": 50, "die_after": 2}}

Where several steps or models answer one request, `steps` and `models` in it override that again, by
the step's name (with the number of its try, or without) and by the model's id:

    {"scripted": {"text": "a draft", "steps": {"critique-1": {"text": "{}"}}}}

Where tools are called, the user message stays the last one: `turns` override it in their order, one
for each answer after it. Where a request offers tools, calls are found in the text in the form of
the family that `calls` names:

    {"scripted": {"calls": "hermes", "turns": [{"text": "<tool_call>..."}, {"text": "Done."}]}}
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from threading import Event

from presets.model import ModelSpec, Reasoning
from workers.constraints.grammar import Unobeyable, text_follows
from workers.contract.constraint import Constraint
from workers.contract.engine_use import EngineUse
from workers.contract.errors import (
    BY_CODE,
    EngineFailed,
    ModelLoadFailed,
    UnsupportedParameter,
    ValidationFailed,
)
from workers.contract.logprobs import LEAST_LOGPROB, Logprob, PackedLogprobs, pack
from workers.contract.prompt import Prompt
from workers.contract.sampling import Sampling
from workers.contract.step import Timings, Usage
from workers.engines import named_tokens
from workers.engines.answer_form import AnswerForm, Calls
from workers.engines.base import (
    Delta,
    EngineOptions,
    GenerationRequest,
    cancelled_delta,
    require_room,
)
from workers.engines.raw_prompts import RawPrompts
from workers.engines.registry import register
from workers.engines.script import TOKEN, Script, asked
from workers.engines.scripted_tokenizer import ScriptedTokenizer
from workers.engines.scripted_vocabulary import ScriptedVocabulary
from workers.engines.text import Shown
from workers.engines.time_budget import Cancelled, TimeBudget
from workers.engines.tool_calls import registry as tool_calls

#: How often a wait checks, in seconds, whether the engine was closed; cancelling wakes it at once.
_CLOSE_CHECK_S = 0.2


class ScriptedEngine:
    """Answers with its script; each `generate` runs on its caller's thread."""

    #: It runs in its worker's own process and dies with it.
    dead: str | None = None

    def __init__(self, _options: EngineOptions) -> None:
        self.context_length = 0
        self.memory_bytes = 0
        self._script = Script()
        self._name = ""
        self._reasoning: Reasoning | None = None
        self._closed = Event()
        #: When each running generation last moved.
        self._moved_at: dict[Event, float] = {}

    @property
    def stalled_s(self) -> float:
        """See `Engine.stalled_s`."""
        now = time.monotonic()
        return max((now - at for at in list(self._moved_at.values())), default=0.0)

    @property
    def use(self) -> EngineUse:
        """See `Engine.use`; it has neither cells nor a cache."""
        return EngineUse(rows=len(self._moved_at))

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
        self._reasoning = spec.reasoning
        self.context_length = spec.context_length
        self._raw_prompts = RawPrompts(spec.id, ScriptedVocabulary(), spec.context_length)

    def generate(self, request: GenerationRequest, cancelled: Event) -> Iterator[Delta]:
        """Say the script; see `Engine.generate`."""
        if self._closed.is_set():
            raise EngineFailed("The engine is closed.")
        script = self._script.overridden(asked(request, self._name))
        form = self._form(script, request)
        self._check(script, request, form)
        named_tokens.require_known(request.sampling, ScriptedVocabulary.size)
        try:
            counted = self._count(request, cancelled)
        except Cancelled:
            return iter([cancelled_delta(request)])
        prompt_tokens = counted if script.prompt_tokens is None else script.prompt_tokens
        require_room(self._name, prompt_tokens, self.context_length)
        return self._moving(self._say(script, request, form, prompt_tokens, cancelled), cancelled)

    def forget_job(self, job: str) -> None:
        """Nothing is kept of any job."""

    def count_tokens(self, text: str) -> int:
        """Words in a text."""
        return len(TOKEN.findall(text))

    def prompt_text(self, prompt: Prompt) -> str:
        """See `Engine.prompt_text`."""
        return self._raw_prompts.text_of(prompt)

    def close(self) -> None:
        """End all generations."""
        self._closed.set()

    def _count(self, request: GenerationRequest, cancelled: Event) -> int:
        """The tokens of a request's prompt."""
        if request.prompt is not None:
            budget = TimeBudget(cancelled)
            return len(self._raw_prompts.of(request.prompt, request.sampling, budget))
        return sum(self.count_tokens(turn.content or "") for turn in request.messages)

    def _form(self, script: Script, request: GenerationRequest) -> AnswerForm:
        """How the script is read; what is made of a caller's own prompt is text."""
        if request.prompt is not None:
            return AnswerForm()
        tools, calls = request.tools, None
        if tools is not None and tools.offered:
            calls = Calls(tool_calls.families()[script.calls], tools, request.id)
        return AnswerForm(self._reasoning, script.prompt_end, calls)

    @staticmethod
    def _check(script: Script, request: GenerationRequest, form: AnswerForm) -> None:
        """Refuse what the script does not keep to."""
        must_call = request.tools is not None and request.tools.must_call
        constraint = request.sampling.constraint
        if not must_call and constraint is None:
            return
        text = form.assembler(Sampling())
        shown = text.push(script.text.encode()) + text.finish()
        if shown.calls:
            return
        if must_call:
            raise _not_in_script("makes no call that tool_choice allows", "tool_choice")
        if constraint is not None and not _follows(constraint, shown.text):
            what = f"does not follow {constraint.param} ({constraint.kind})"
            raise _not_in_script(what, constraint.param)

    def _moving(self, deltas: Iterator[Delta], cancelled: Event) -> Iterator[Delta]:
        """The same deltas; while they are made the generation counts as running."""
        self._moved_at[cancelled] = time.monotonic()
        try:
            yield from deltas
        finally:
            del self._moved_at[cancelled]

    def _say(
        self,
        script: Script,
        request: GenerationRequest,
        form: AnswerForm,
        prompt_tokens: int,
        cancelled: Event,
    ) -> Iterator[Delta]:
        begun_at = time.perf_counter()
        words = script.tokens()
        limit = self.context_length - prompt_tokens
        if request.sampling.max_tokens is not None:
            limit = min(limit, request.sampling.max_tokens)
        sampling = request.sampling
        natural = max(len(words), min(sampling.min_tokens, limit))
        if script.repeat or sampling.ignore_eos:
            natural = limit
        text = form.assembler(sampling)
        for token in request.produced:
            text.push(words[token % len(words)])
        produced = len(request.produced)
        stopped = _ends_with_stop_token(sampling, request.produced)
        first_at = due = begun_at + script.prefill_s
        reason = None
        while reason is None:
            if produced == script.hang_after:
                Event().wait()
            if stopped or text.stopped or produced >= natural < limit:
                reason = "stop"
            elif produced >= limit:
                reason = "length"
            elif not self._wait_until(due, cancelled):
                reason = "cancelled"
            else:
                _fault(script, produced)
                token = produced % len(words)
                stopped = _is_stop_token(sampling, token, produced)
                if stopped and not sampling.include_stop_str_in_output:
                    continue
                produced += 1
                due += 1 / script.tokens_per_s
                shown = text.push(words[token])
                logprobs = _logprobs(sampling, words, token, text.may_be_content)
                yield shown.delta((token,), logprobs)
        # What is held back of a cancelled answer comes from the worker that goes on with it.
        rest = Shown() if reason == "cancelled" else text.finish(cut=reason == "length")
        timings = Timings(
            prefill_ms=round(script.prefill_s * 1e3, 3),
            decode_ms=round(max(0.0, time.perf_counter() - first_at) * 1e3, 3),
        )
        yield text.last_delta(reason, rest.delta(()), Usage(prompt_tokens, produced), timings)

    def _wait_until(self, due: float, cancelled: Event) -> bool:
        """False when the generation is to end instead."""
        while not cancelled.is_set() and not self._closed.is_set():
            self._moved_at[cancelled] = time.monotonic()
            left_s = due - time.perf_counter()
            if left_s <= 0:
                return True
            cancelled.wait(min(left_s, _CLOSE_CHECK_S))
        return False


def _is_stop_token(sampling: Sampling, token: int, produced: int) -> bool:
    return produced >= sampling.min_tokens and token in sampling.stop_token_ids


def _ends_with_stop_token(sampling: Sampling, produced: tuple[int, ...]) -> bool:
    return bool(produced) and _is_stop_token(sampling, produced[-1], len(produced) - 1)


def _logprobs(
    sampling: Sampling, words: list[bytes], token: int, may_be_content: bool
) -> tuple[PackedLogprobs, ...]:
    """A script's token is certain; the alternatives are the words that are not said now."""
    if sampling.logprobs is None:
        return ()
    if not may_be_content:
        return ((),)
    chosen = Logprob(token, words[token], 0.0)
    others = [Logprob(t, word, LEAST_LOGPROB) for t, word in enumerate(words) if t != token]
    return (pack([chosen, *[chosen, *others][: sampling.logprobs]]),)


def _follows(constraint: Constraint, text: str) -> bool:
    try:
        return text_follows(constraint, text)
    except Unobeyable as error:
        raise ValidationFailed(
            f"{constraint.param} {error}.", details={"param": constraint.param}
        ) from None


def _not_in_script(what: str, param: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"The scripted engine says what its script says, and that {what}; leave {param} out.",
        details={"param": param},
    )


def _fault(script: Script, produced: int) -> None:
    if produced == script.fail_after:
        raise BY_CODE[script.fail_with](f"The script fails after {produced} tokens.")
    if produced == script.die_after:
        os.kill(os.getpid(), signal.SIGKILL)


register("scripted", ScriptedEngine, tokenizer=ScriptedTokenizer)
