"""The memory that models may take, counted while the keeper decides which of them are loaded."""

from __future__ import annotations

from workers.contract.errors import InsufficientMemory
from workers.loading.model_state import ModelState, Phase

_MB = 2**20


class MemoryBudget:
    """What is free while decisions are made, and which models are still there."""

    def __init__(self, states: tuple[ModelState, ...], limit_bytes: float) -> None:
        self.states = states
        self._loaded, loading, self._leaving = (
            sum(state.needed_bytes for state in states if state.phase is phase)
            for phase in (Phase.LOADED, Phase.LOADING, Phase.UNLOADING)
        )
        self._loading = loading
        self._within_limit = limit_bytes - self._loaded - loading - self._leaving
        #: What is going to be taken, and is not counted yet.
        self._promised = sum(
            state.needed_bytes
            for state in states
            if state.phase is Phase.LOADING and not state.counted
        )

    def free(self, state: ModelState) -> float:
        """What is free for a model now."""
        return min(state.available_bytes - self._promised, self._within_limit)

    def soon(self, state: ModelState) -> float:
        """What is free for it after the models that are being unloaded."""
        return self.free(state) + self._leaving

    def most(self, state: ModelState) -> float:
        """What would be free for it if all other models were unloaded too."""
        return self.soon(state) + self._loaded + self._loading

    def take(self, needed_bytes: int) -> None:
        """Count what is going to be loaded; it may be unloaded again, as all others."""
        self._promised += needed_bytes
        self._within_limit -= needed_bytes
        self._loading += needed_bytes

    def refusal(self, state: ModelState) -> InsufficientMemory:
        """Why a model is not loaded."""
        loaded = [other.model for other in self.states if other.phase is Phase.LOADED]
        hint = f" Loaded now: {', '.join(loaded)}; unload what is not needed." if loaded else ""
        free_bytes = max(0, int(self.soon(state)))
        return InsufficientMemory(
            f"{state.model} needs about {state.needed_bytes // _MB} MB; {free_bytes // _MB} MB "
            f"are free for models.{hint}",
            details={
                "model": state.model,
                "needed_mb": state.needed_bytes // _MB,
                "available_mb": free_bytes // _MB,
                "loaded": loaded,
            },
        )
