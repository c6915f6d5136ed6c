"""What the engines of models that read texts and write none have in common: one batching."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Generic, TypeVar

from presets.memory.footprint import MOST_ENCODED_TOKENS
from presets.model import ModelSpec
from workers.contract.engine_use import EngineUse
from workers.contract.errors import ContextBudgetExceeded, EngineFailed
from workers.engines.encoder import BatchEncoder
from workers.engines.encoder_batches import EncoderBatches
from workers.engines.time_budget import Preparations

Item = TypeVar("Item", bound=Sized)


class EncoderEngine(Generic[Item]):
    """A loaded model whose batches are made of the texts of all callers."""

    #: It runs in its worker's own process and dies with it.
    dead: str | None = None

    def __init__(self, encoder: BatchEncoder[Item]) -> None:
        self.context_length = 0
        self.memory_bytes = 0
        self._computes = encoder
        self._name = ""
        self._batches: EncoderBatches[Item] | None = None
        self._preparations = Preparations()

    @property
    def stalled_s(self) -> float:
        """See `LoadedModel.stalled_s`."""
        computing_s = self._batches.stalled_s if self._batches is not None else 0.0
        return max(computing_s, self._preparations.overdue_s)

    @property
    def use(self) -> EngineUse:
        """See `LoadedModel.use`."""
        return EngineUse(rows=0 if self._batches is None else self._batches.rows)

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """See `LoadedModel.load`."""
        self._name = spec.id
        self._computes.load(spec, on_progress)
        longest = min(spec.context_length, MOST_ENCODED_TOKENS)
        self.context_length = min(longest, self._computes.most_tokens)
        self.memory_bytes = self._computes.memory_bytes
        self._batches = EncoderBatches(self._computes)
        self._batches.start()
        on_progress(1.0)

    def forget_job(self, job: str) -> None:
        """See `LoadedModel.forget_job`: nothing is kept of any."""

    def close(self) -> None:
        """See `LoadedModel.close`."""
        batches, self._batches = self._batches, None
        if batches is not None:
            batches.stop()
            self._computes.close()

    def _running(self) -> EncoderBatches[Item]:
        if self._batches is None:
            raise EngineFailed("The engine is closed.")
        return self._batches

    def _too_long(self, tokens: int, param: str) -> ContextBudgetExceeded:
        most = self.context_length
        return ContextBudgetExceeded(
            f"This model's maximum context length is {most} tokens. {param} has {tokens}; "
            f"{self._name} cannot read it whole. Send less, or truncate: true "
            "(context_length_exceeded).",
            details={
                "current_tokens": tokens,
                "budget": most,
                "model": self._name,
                "param": param,
                "reason": "context_length_exceeded",
            },
        )
