"""What the keeper decides about models: which load, which make room, which requests end.

Nothing here knows Redis: `decide` takes what is, and says what is to be done.

A request waits for room at most `max_wait_ms`, and the time that ending and loading take: where
several models wait for room, each has its part of that time before the next one's turn, and none
is unloaded again before it has answered a request.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from workers.cluster.orders import LoadRequest, Order, Target, Why
from workers.contract.errors import InferenceError, ModelLoadFailed, NoWorker
from workers.loading.memory_budget import MemoryBudget
from workers.loading.model_state import ModelState, Phase

#: A process that was ordered and is not there after so long will not come.
STARTED_WITHIN_MS = 60_000


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator has set."""

    on_demand: bool = False
    swap: bool = False
    max_wait_ms: float = 60_000
    #: 0: never.
    idle_ms: float = 0
    #: Seconds that answers get before another worker, or a later load, goes on with them.
    grace_s: float = 30.0


class TurnedAway(enum.Enum):
    """Which of the jobs that wait for a model are ended."""

    NONE = enum.auto()
    #: Those with an open connection; a job without one may wait for a load.
    SYNCHRONOUS = enum.auto()
    ALL = enum.auto()


@dataclass(frozen=True, slots=True)
class LoadDecision:
    """What is done about one model."""

    model: str
    #: The order to give; None: what holds goes on.
    target: Target | None = None
    why: Why = Why.ASKED
    grace_s: float | None = None
    error: InferenceError | None = None
    #: The load request that is dealt with by this.
    load_request: LoadRequest | None = None
    turned_away: TurnedAway = TurnedAway.NONE

    def order(self, now_ms: int) -> Order | None:
        """The order that says so."""
        if self.target is None:
            return None
        error = None if self.error is None else self.error.to_dict()
        return Order(self.model, self.target, self.why, now_ms, self.grace_s, error)


def decide(
    states: Iterable[ModelState], limit_bytes: float, now_ms: int, policy: Policy
) -> tuple[LoadDecision, ...]:
    """What is to be done now; at most one decision for each model.

    `limit_bytes` is what all models together may take.
    """
    budget = MemoryBudget(tuple(states), limit_bytes)
    decisions: dict[str, LoadDecision] = {}
    for rule in (_failures, _load_requests, _demands, _idle, _waits_in_vain):
        for decision in rule(budget, now_ms, policy):
            decisions.setdefault(decision.model, decision)
    return tuple(decisions.values())


def _failures(budget: MemoryBudget, now_ms: int, _policy: Policy) -> Iterator[LoadDecision]:
    """What could not be loaded is not tried again by itself, and no request waits for it."""
    for state in budget.states:
        error = None
        if state.phase is Phase.FAILED and state.failure is not None:
            error = InferenceError.from_dict(state.failure)
        elif _never_came(state, now_ms):
            error = ModelLoadFailed(
                f"No worker of {state.model} has come up within {STARTED_WITHIN_MS // 1000} s; "
                f"its log says why.",
                details={"model": state.model},
            )
        if error is not None and state.load_request is None:
            yield _refuse(state, error)


def _never_came(state: ModelState, now_ms: int) -> bool:
    """Whether a process that was ordered long ago is not there, and never was."""
    order = state.order
    return (
        state.phase is Phase.LOADING
        and not state.present
        and not state.loaded_ms
        and order is not None
        and now_ms - order.since_ms > STARTED_WITHIN_MS
    )


def _load_requests(budget: MemoryBudget, _now_ms: int, policy: Policy) -> Iterator[LoadDecision]:
    """What was asked for by name, in the order in which it was."""
    requested = [state for state in budget.states if state.load_request is not None]
    for state in sorted(
        requested, key=lambda state: state.load_request.since_ms if state.load_request else 0
    ):
        request = state.load_request
        if request is None:
            continue
        if request.target is Target.UNLOADED:
            grace_s = policy.grace_s if policy.on_demand else None
            yield LoadDecision(
                state.model, Target.UNLOADED, Why.ASKED, grace_s, load_request=request
            )
        elif state.phase in (Phase.LOADED, Phase.LOADING):
            yield LoadDecision(state.model, load_request=request)
        elif state.phase is not Phase.UNLOADING:
            decision = _granted(state, budget, Why.ASKED, forced=request.forced)
            if decision is None and state.needed_bytes > budget.soon(state):
                decision = _refuse(state, budget.refusal(state))
            if decision is not None:  # what waits for it keeps waiting: it may be loaded yet
                yield replace(decision, load_request=request, turned_away=TurnedAway.NONE)


def _demands(budget: MemoryBudget, now_ms: int, policy: Policy) -> Iterator[LoadDecision]:
    """Models that requests wait for, the longest wait first; none overtakes another."""
    waiting = [state for state in budget.states if _is_demanded(state, policy)]
    waiting.sort(key=lambda state: state.demanded_ms)
    for state in waiting:
        error = state.order.error if state.order is not None else None
        if error is not None and error["code"] == ModelLoadFailed.code:
            broken = InferenceError.from_dict(error)
            yield LoadDecision(state.model, error=broken, turned_away=TurnedAway.ALL)
            continue
        decision = _granted(state, budget, Why.DEMAND)
        if decision is not None:
            yield decision
        elif state.needed_bytes <= budget.soon(state):
            return
        elif not policy.swap or state.needed_bytes > budget.most(state):
            yield _refuse(state, budget.refusal(state))
        else:
            share_ms = policy.max_wait_ms / len(waiting)
            yield from _make_room(state, budget, now_ms, share_ms, policy.grace_s)
            return


def _is_demanded(state: ModelState, policy: Policy) -> bool:
    """Whether requests wait for a model that is not loaded, and are to get it.

    What was accepted while a model was loaded is answered, though it left meanwhile.
    """
    if not state.waiting or state.load_request is not None or not state.loadable:
        return False
    if state.phase not in (Phase.ABSENT, Phase.UNLOADED) or state.expected:
        return False
    left = state.order is not None and state.order.why in (Why.IDLE, Why.SWAP)
    return policy.on_demand or left


def _make_room(
    state: ModelState, budget: MemoryBudget, now_ms: int, share_ms: float, grace_s: float
) -> Iterator[LoadDecision]:
    """Idle models leave at once, the one used longest ago first; busy ones after their part."""
    loaded = [other for other in budget.states if other.phase is Phase.LOADED]
    idle = sorted(
        (other for other in loaded if not other.busy), key=lambda other: other.quiet_since_ms
    )
    ripe = sorted(
        (other for other in loaded if other.busy and _had_its_share(other, now_ms, share_ms)),
        key=lambda other: other.loaded_ms,
    )
    candidates = idle + (ripe if now_ms - state.demanded_ms >= share_ms else [])
    freed = budget.soon(state)
    leaving: list[ModelState] = []
    for other in candidates:
        if freed >= state.needed_bytes:
            break
        leaving.append(other)
        freed += other.needed_bytes
    if freed < state.needed_bytes:
        return
    for other in leaving:
        yield LoadDecision(other.model, Target.UNLOADED, Why.SWAP, grace_s)


def _had_its_share(state: ModelState, now_ms: int, share_ms: float) -> bool:
    return state.has_served and now_ms - state.loaded_ms >= share_ms


def _idle(budget: MemoryBudget, now_ms: int, policy: Policy) -> Iterator[LoadDecision]:
    """A model that was not used for a while is unloaded."""
    for state in budget.states:
        idle = state.phase is Phase.LOADED and not state.busy and state.load_request is None
        if idle and policy.idle_ms and now_ms - state.quiet_since_ms >= policy.idle_ms:
            yield LoadDecision(state.model, Target.UNLOADED, Why.IDLE, policy.grace_s)


def _waits_in_vain(budget: MemoryBudget, _now_ms: int, policy: Policy) -> Iterator[LoadDecision]:
    """Requests that wait for a model that was unloaded by name, and that nothing loads again."""
    for state in budget.states:
        order = state.order
        asked = order is not None and order.target is Target.UNLOADED and order.why is Why.ASKED
        if asked and state.waiting and not policy.on_demand and state.load_request is None:
            gone = NoWorker(
                f"{state.model} was unloaded while the request waited for it. Load it with: "
                f"inference-service load {state.model}",
                details={"model": state.model},
            )
            yield LoadDecision(state.model, error=gone, turned_away=TurnedAway.SYNCHRONOUS)


def _granted(
    state: ModelState, budget: MemoryBudget, why: Why, *, forced: bool = False
) -> LoadDecision | None:
    """The order to load a model that fits, or why it cannot be loaded; None: there is no room."""
    if state.missing is not None:
        error = ModelLoadFailed(f"{state.model}: {state.missing}", details={"model": state.model})
        return _refuse(state, error)
    if not forced and state.needed_bytes > budget.free(state):
        return None
    budget.take(state.needed_bytes)
    return LoadDecision(state.model, Target.LOADED, why)


def _refuse(state: ModelState, error: InferenceError) -> LoadDecision:
    """It is not loaded, and what waits for it gets the error."""
    return LoadDecision(
        state.model, Target.UNLOADED, Why.FAILED, error=error, turned_away=TurnedAway.ALL
    )
