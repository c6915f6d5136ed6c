"""What every engine is to its worker.

An engine knows neither Redis nor Celery nor jobs: it takes messages, gives deltas. Errors it
raises are those of `workers.contract.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

from presets.drafts import LOOKUP
from presets.model import ModelSpec
from workers.contract.engine_use import EngineUse
from workers.contract.errors import ContextBudgetExceeded
from workers.contract.job import Message, Priority, TemplateOptions
from workers.contract.logprobs import PackedLogprobs
from workers.contract.prompt import Prompt
from workers.contract.sampling import Sampling
from workers.contract.step import Timings, Usage
from workers.contract.tools import CallPart, Tools


class KeptIds(Protocol):
    """Token ids of texts that were tokenised before. Safe from several threads."""

    def get(self, owner: str | None, text: str) -> Sequence[int] | None:
        """Those of a text of this API key; None: they are made."""

    def store(self, owner: str | None, text: str, ids: Sequence[int]) -> None:
        """Keep them."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the operator decides for one worker's engine."""

    #: Requests decoded at once.
    concurrency: int
    #: Where derived files (requantised weights) are kept.
    cache_dir: Path
    #: CPU threads that decode; None: the engine's choice.
    threads: int | None = None
    #: Layers on the GPU; -1: all.
    gpu_layers: int = -1
    #: Devices it runs on, by nvidia-smi's index; empty: none, or the engine's choice. The worker
    #: has set CUDA_VISIBLE_DEVICES to them before the engine was imported, so that inside the
    #: process they count from 0.
    devices: tuple[int, ...] = ()
    #: The part of its devices' memory that it may take; None: what is free.
    memory_fraction: float | None = None
    #: Tokens of the KV pool, as the memory plan has it; None: the engine takes what it wants, and
    #: refuses to load where that is not free.
    kv_tokens: int | None = None
    #: Bytes of RAM in which it may keep what it has read for requests that have ended.
    prompt_cache_bytes: int = 0
    #: How next tokens are guessed, for an engine that can: one of `presets.drafts.KINDS`.
    drafts: str = LOOKUP
    #: Bytes on disk, below `cache_dir`, in which it may keep some of that for the time after its
    #: end; those of all models together.
    prompt_disk_bytes: int = 0
    #: Token ids of system prompts, for an engine that is slow to make them; None: none are kept.
    kept_ids: KeptIds | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One completion to decode."""

    id: str
    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    priority: Priority = Priority.NORMAL
    #: Token ids that an earlier attempt already produced: generation goes on after them.
    #: They count against max_tokens and in usage, and are not yielded again.
    produced: tuple[int, ...] = ()
    #: What is asked of the chat template.
    template: TemplateOptions = field(default_factory=TemplateOptions)
    #: What the model may call; None: nothing.
    tools: Tools | None = None
    #: What the model reads instead of the messages; None: those.
    prompt: Prompt | None = None
    #: The job it is a step of.
    job: str = ""
    #: Id of the API key that asks; None where none was needed. What one key has sent does not show
    #: in the answers to another, not even in how fast they come.
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer. Only the last has a finish reason, and with it usage and timings.

    The ids say what was decoded, the text what of it can be shown by now: a delta may carry ids
    whose bytes complete no character yet, or text held back while it could begin a tag or a stop
    string.
    """

    text: str = ""
    token_ids: tuple[int, ...] = ()
    #: `stop` (end of turn or stop string), `tool_calls`, `length` (max_tokens or context) or
    #: `cancelled`.
    finish_reason: str | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    #: What the model thinks, by `ModelSpec.reasoning`; never part of the text.
    reasoning: str = ""
    #: Pieces of the calls that the answer makes; their text is no part of the text.
    calls: tuple[CallPart, ...] = ()
    #: Where they are asked for, for each of the ids: its log probabilities, or nothing where it is
    #: known to be no content.
    logprobs: tuple[PackedLogprobs, ...] = ()
    #: Places in the answer, from 0, of tokens whose text is content, as it is known by now; some of
    #: them may have come before.
    content_tokens: tuple[int, ...] = ()
    #: With the last one: why something that opened like a call is none, in sentences.
    notes: tuple[str, ...] = ()
    #: With the last one: the stop string that ended the answer; None where none did.
    stop: str | None = None

    @property
    def says_something(self) -> bool:
        """It adds something to the answer."""
        return bool(self.token_ids or self.text or self.reasoning or self.calls)


def cancelled_delta(request: GenerationRequest) -> Delta:
    """The only delta of a request that was cancelled while it was prepared."""
    return Delta(finish_reason="cancelled", usage=Usage(0, len(request.produced)))


def require_room(
    model: str,
    prompt_tokens: int,
    context_length: int,
    *,
    at_least: bool = False,
    param: str = "messages",
) -> None:
    """Refuse a prompt after which no token of an answer fits.

    `at_least`: the prompt was not counted to its end. `param`: the parameter that holds it.

    Raises:
        ContextBudgetExceeded: with both numbers.
    """
    if prompt_tokens < context_length:
        return
    count = f"at least {prompt_tokens}" if at_least else str(prompt_tokens)
    what = f"The prompt has {count} tokens"
    raise _too_long(model, context_length, what, prompt_tokens, param)


def require_possible(
    model: str,
    prompt_bytes: int,
    longest_piece: int,
    context_length: int,
    *,
    param: str = "messages",
) -> None:
    """Refuse by its length alone what cannot fit, before it is tokenised.

    `longest_piece`: bytes of the longest token of the vocabulary.

    Raises:
        ContextBudgetExceeded: not even tokens of that length would do.
    """
    least = -(-prompt_bytes // max(1, longest_piece))
    if least > context_length:
        what = f"The prompt has {prompt_bytes} bytes, which are at least {least} tokens"
        raise _too_long(model, context_length, what, least, param)


def _too_long(
    model: str, context_length: int, what: str, tokens: int, param: str
) -> ContextBudgetExceeded:
    # Clients of OpenAI's API know a context overflow by the first sentence, by the parameter, or by
    # OpenAI's own code, which they look for in the text of an exception.
    return ContextBudgetExceeded(
        f"This model's maximum context length is {context_length} tokens. {what}, and the answer "
        f"takes some too; {model} cannot take it. Send less (context_length_exceeded).",
        details={
            "current_tokens": tokens,
            "budget": context_length,
            "model": model,
            "compression_attempted": False,
            "param": param,
            "reason": "context_length_exceeded",
        },
    )


class LoadedModel(Protocol):
    """What the worker of any model has, whatever the model does."""

    #: The most tokens one request may use, once loaded.
    context_length: int
    #: Bytes of memory that the loaded model takes, as measured.
    memory_bytes: int

    @property
    def stalled_s(self) -> float:
        """Seconds since the engine last moved, while there is work, or for which a request has been
        prepared after its budget of time was used up; 0 where there is neither.
        """

    @property
    def dead(self) -> str | None:
        """Why it can never work again, where a process that it runs on has died; else None.

        Who waits for it then waits on: their worker is ended, and what it ran goes on elsewhere.
        """

    @property
    def use(self) -> EngineUse:
        """What it uses at this moment. Safe from any thread, and costs the engine nothing."""

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """Load the model; `on_progress` gets fractions from 0 to 1.

        Raises:
            ModelLoadFailed: the file is missing, broken, or not for this engine.
            InsufficientMemory: it will not fit.
        """

    def forget_job(self, job: str) -> None:
        """Drop what is kept of the requests of this job alone. Safe from any thread."""

    def close(self) -> None:
        """End all requests and give the memory back. Safe to call twice."""


class Engine(LoadedModel, Protocol):
    """A loaded model that answers from several threads at once."""

    def generate(self, request: GenerationRequest, cancelled: Event) -> Iterator[Delta]:
        """Decode one request; safe from `concurrency` threads at once.

        When `cancelled` is set the sequence is freed within one step and the last delta has the
        finish reason `cancelled`. Closing the iterator early does the same.

        Raises:
            ContextBudgetExceeded: the prompt leaves no room to answer; before any delta.
            ValidationFailed: the chat template refuses these messages, or the prompt has an id that
                is no token; before any delta.
            UnsupportedParameter: the model cannot do what is asked for; before any delta.
            TimeBudgetExceeded: preparing it took too long; before any delta.
            EngineFailed: decoding failed.
        """

    def count_tokens(self, text: str) -> int:
        """Tokens in a text, without special tokens added."""

    def prompt_text(self, prompt: Prompt) -> str:
        """What an answer repeats of a prompt that `generate` has taken."""
