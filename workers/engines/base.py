"""What every engine is to its worker.

An engine knows neither Redis nor Celery nor jobs: it takes messages, gives deltas. Errors it
raises are those of `workers.contract.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

from presets.model import ModelSpec
from workers.contract.errors import ContextBudgetExceeded
from workers.contract.job import Message, Priority, Sampling
from workers.contract.step import Timings, Usage


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


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer. Only the last has a finish reason, and with it usage and timings.

    The ids say what was decoded, the text what of it can be shown by now: a delta may carry ids
    whose bytes complete no character yet, or text held back while it could begin a tag or a stop
    string.
    """

    text: str = ""
    token_ids: tuple[int, ...] = ()
    #: `stop` (end of turn or stop string), `length` (max_tokens or context) or `cancelled`.
    finish_reason: str | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    #: What the model thinks, by `ModelSpec.reasoning`; never part of the text.
    reasoning: str = ""


def require_room(model: str, prompt_tokens: int, context_length: int) -> None:
    """Refuse a prompt after which no token of an answer fits.

    Raises:
        ContextBudgetExceeded: with both numbers.
    """
    if prompt_tokens < context_length:
        return
    raise ContextBudgetExceeded(
        f"The prompt has {prompt_tokens} tokens; {model} takes at most {context_length}, the "
        "answer included.",
        details={
            "current_tokens": prompt_tokens,
            "budget": context_length,
            "model": model,
            "compression_attempted": False,
        },
    )


class Engine(Protocol):
    """A loaded model that answers from several threads at once."""

    #: The most tokens one request may use, once loaded.
    context_length: int
    #: Bytes of memory that the loaded model takes, as measured.
    memory_bytes: int

    @property
    def stalled_s(self) -> float:
        """Seconds since decoding last moved, while there is work; 0 where there is none."""

    @property
    def dead(self) -> str | None:
        """Why it can never decode again, where a process that it runs on has died; else None.

        Callers of `generate` then wait: their worker is ended, and what it ran goes on elsewhere.
        """

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """Load the model; `on_progress` gets fractions from 0 to 1.

        Raises:
            ModelLoadFailed: the file is missing, broken, or not for this engine.
            InsufficientMemory: it will not fit.
        """

    def generate(self, request: GenerationRequest, cancelled: Event) -> Iterator[Delta]:
        """Decode one request; safe from `concurrency` threads at once.

        When `cancelled` is set the sequence is freed within one step and the last delta has the
        finish reason `cancelled`. Closing the iterator early does the same.

        Raises:
            ContextBudgetExceeded: the prompt leaves no room to answer; before any delta.
            ValidationFailed: the chat template refuses these messages; before any delta.
            EngineFailed: decoding failed.
        """

    def count_tokens(self, text: str) -> int:
        """Tokens in a text, without special tokens added."""

    def close(self) -> None:
        """End all generations and give the memory back. Safe to call twice."""
