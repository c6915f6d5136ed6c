"""The state of a model, as the keeper sees it when it decides."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workers.cluster.orders import LoadRequest, Order, Target
from workers.cluster.presence import Worker, WorkerStatus


class Phase(enum.StrEnum):
    """Where a model is."""

    #: Nothing runs for it.
    ABSENT = "absent"
    #: A process waits for an order to load it.
    UNLOADED = "unloaded"
    #: It is being loaded, or the process that will load it is being started.
    LOADING = "loading"
    #: It answers.
    LOADED = "loaded"
    #: It ends what it is in the middle of; its memory is not free yet.
    UNLOADING = "unloading"
    #: It could not be loaded, and the keeper has not dealt with that yet.
    FAILED = "failed"


def phase(workers: Iterable[Worker], order: Order | None, *, supervised: bool) -> Phase:
    """Where a model with these workers is.

    `supervised`: an `up` runs that starts a process for what is ordered.
    """
    workers = tuple(workers)
    statuses = {worker.status for worker in workers}
    holds = any(worker.holds for worker in workers)
    if order is not None and order.target is Target.UNLOADED:
        if holds:
            return Phase.UNLOADING
        return Phase.UNLOADED if statuses else Phase.ABSENT
    if WorkerStatus.LOADED in statuses:
        return Phase.LOADED
    if WorkerStatus.LOADING in statuses:
        return Phase.LOADING
    if holds:
        return Phase.UNLOADING
    if any(has_failed(worker, order) for worker in workers):
        return Phase.FAILED
    if order is not None and (supervised or statuses):
        return Phase.LOADING
    return Phase.UNLOADED if statuses else Phase.ABSENT


def has_failed(worker: Worker, order: Order | None) -> bool:
    """Whether a worker could not load its model under the order that holds now."""
    mine = None if order is None else order.id
    return worker.status is WorkerStatus.FAILED and worker.order == mine


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model, what it takes, and who wants it."""

    model: str
    phase: Phase
    #: Memory it takes, or would take.
    needed_bytes: int = 0
    #: The most it could have on this machine now, beside what workers say they take; only of
    #: models that are wanted.
    available_bytes: int = 0
    #: A worker of it says what it takes already.
    counted: bool = False
    order: Order | None = None
    load_request: LoadRequest | None = None
    #: Why it could not be loaded, in phase FAILED: `InferenceError.to_dict()`.
    failure: Mapping[str, Any] | None = None
    #: A process of it lives.
    present: bool = False
    #: A worker of it answered a moment ago, and has not said that it leaves: it is waited for.
    expected: bool = False
    #: There is something that loads it: a process that waits, or an `up` that starts one.
    loadable: bool = True
    #: What of its files is not there, and where it was looked for; None where nothing is missing.
    missing: str | None = None
    #: Steps that wait for it, and steps that run on it.
    waiting: int = 0
    running: int = 0
    #: Unix times in milliseconds: of its last use, of when it was loaded, and since when requests
    #: have waited while it was not; 0 where there is none.
    used_ms: int = 0
    loaded_ms: int = 0
    demanded_ms: int = 0

    @property
    def busy(self) -> bool:
        """Whether it has work."""
        return self.waiting > 0 or self.running > 0

    @property
    def quiet_since_ms(self) -> int:
        """Since when it was not used."""
        return max(self.used_ms, self.loaded_ms)

    @property
    def has_served(self) -> bool:
        """Whether anybody got something out of its being loaded."""
        return self.running > 0 or self.used_ms >= self.loaded_ms > 0
