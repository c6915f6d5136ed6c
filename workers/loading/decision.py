"""What the keeper decides about models: which are loaded, which make room, who is turned away.

Nothing here knows Redis: `decide` takes what is, and says what is to be done.

A request waits for room at most `max_wait_ms`, and the time that ending and loading take: where
several models wait for room, each has its part of that time before the next one's turn, and none
leaves again before it has answered somebody.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from workers.cluster.orders import LoadRequest, Order, Target, Why
from workers.contract.errors import InferenceError, InsufficientMemory, ModelLoadFailed, NoWorker
from workers.loading.model_state import ModelState, Phase

_MB = 2**20
#: A process that was ordered and has not come up for so long is not coming.
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
    #: Those somebody waits for on the line; a job that nobody holds open may wait for a load.
    SYNCHRONOUS = enum.auto()
    ALL = enum.auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about one model."""

    model: str
    #: The order to give; None: what holds goes on.
    target: Target | None = None
    why: Why = Why.ASKED
    grace_s: float | None = None
    error: InferenceError | None = None
    #: The wish that is dealt with by this.
    wish: LoadRequest | None = None
    turned_away: TurnedAway = TurnedAway.NONE

    def order(self, now_ms: int) -> Order | None:
        """The order that says so."""
        if self.target is None:
            return None
        error = None if self.error is None else self.error.to_dict()
        return Order(self.model, self.target, self.why, now_ms, self.grace_s, error)


def decide(
    tenants: Iterable[ModelState], limit_bytes: float, now_ms: int, policy: Policy
) -> tuple[Decision, ...]:
    """What is to be done now; at most one decision for each model.

    `limit_bytes` is what all models together may take.
    """
    memory = _Memory(tuple(tenants), limit_bytes)
    decisions: dict[str, Decision] = {}
    for rule in (_failures, _wishes, _demands, _idle, _abandoned):
        for decision in rule(memory, now_ms, policy):
            decisions.setdefault(decision.model, decision)
    return tuple(decisions.values())


class _Memory:
    """What is free as decisions are made, and who is still there."""

    def __init__(self, tenants: tuple[ModelState, ...], limit_bytes: float) -> None:
        self.tenants = tenants
        self._loaded, loading, self._leaving = (
            sum(tenant.needed_bytes for tenant in tenants if tenant.phase is phase)
            for phase in (Phase.LOADED, Phase.LOADING, Phase.LEAVING)
        )
        self._loading = loading
        self._within_limit = limit_bytes - self._loaded - loading - self._leaving
        #: What is going to be taken, and nobody has counted yet.
        self._promised = sum(
            tenant.needed_bytes
            for tenant in tenants
            if tenant.phase is Phase.LOADING and not tenant.counted
        )

    def free(self, tenant: ModelState) -> float:
        """What is free for a model now."""
        return min(tenant.available_bytes - self._promised, self._within_limit)

    def soon(self, tenant: ModelState) -> float:
        """What is free for it once everybody who leaves has left."""
        return self.free(tenant) + self._leaving

    def most(self, tenant: ModelState) -> float:
        """What would be free for it if all others left too."""
        return self.soon(tenant) + self._loaded + self._loading

    def take(self, needed_bytes: int) -> None:
        """Count what is going to be loaded; it may leave again, as all others."""
        self._promised += needed_bytes
        self._within_limit -= needed_bytes
        self._loading += needed_bytes

    def refusal(self, tenant: ModelState) -> InsufficientMemory:
        """Why a model is not loaded."""
        loaded = [other.model for other in self.tenants if other.phase is Phase.LOADED]
        hint = f" Loaded now: {', '.join(loaded)}; unload what is not needed." if loaded else ""
        free_bytes = max(0, int(self.soon(tenant)))
        return InsufficientMemory(
            f"{tenant.model} needs about {tenant.needed_bytes // _MB} MB; {free_bytes // _MB} MB "
            f"are free for models.{hint}",
            details={
                "model": tenant.model,
                "needed_mb": tenant.needed_bytes // _MB,
                "available_mb": free_bytes // _MB,
                "loaded": loaded,
            },
        )


def _failures(memory: _Memory, now_ms: int, _policy: Policy) -> Iterator[Decision]:
    """What could not be loaded is not tried again by itself, and nobody waits for it."""
    for tenant in memory.tenants:
        error = None
        if tenant.phase is Phase.FAILED and tenant.failure is not None:
            error = InferenceError.from_dict(tenant.failure)
        elif _never_came(tenant, now_ms):
            error = ModelLoadFailed(
                f"No worker of {tenant.model} has come up within {STARTED_WITHIN_MS // 1000} s; "
                f"its log says why.",
                details={"model": tenant.model},
            )
        if error is not None and tenant.wish is None:
            yield _refuse(tenant, error)


def _never_came(tenant: ModelState, now_ms: int) -> bool:
    """Whether a process that was ordered long ago is not there, and never was."""
    order = tenant.order
    return (
        tenant.phase is Phase.LOADING
        and not tenant.present
        and not tenant.loaded_ms
        and order is not None
        and now_ms - order.since_ms > STARTED_WITHIN_MS
    )


def _wishes(memory: _Memory, _now_ms: int, policy: Policy) -> Iterator[Decision]:
    """What was asked for by name, in the order in which it was."""
    wishing = [tenant for tenant in memory.tenants if tenant.wish is not None]
    for tenant in sorted(wishing, key=lambda tenant: tenant.wish.since_ms if tenant.wish else 0):
        wish = tenant.wish
        if wish is None:
            continue
        if wish.target is Target.UNLOADED:
            grace_s = policy.grace_s if policy.on_demand else None
            yield Decision(tenant.model, Target.UNLOADED, Why.ASKED, grace_s, wish=wish)
        elif tenant.phase in (Phase.LOADED, Phase.LOADING):
            yield Decision(tenant.model, wish=wish)
        elif tenant.phase is not Phase.LEAVING:
            decision = _granted(tenant, memory, Why.ASKED, forced=wish.forced)
            if decision is None and tenant.needed_bytes > memory.soon(tenant):
                decision = _refuse(tenant, memory.refusal(tenant))
            if decision is not None:  # what waits for it keeps waiting: it may be loaded yet
                yield replace(decision, wish=wish, turned_away=TurnedAway.NONE)


def _demands(memory: _Memory, now_ms: int, policy: Policy) -> Iterator[Decision]:
    """Models that requests wait for, the longest wait first; nobody overtakes."""
    waiting = [tenant for tenant in memory.tenants if _is_demanded(tenant, policy)]
    waiting.sort(key=lambda tenant: tenant.demanded_ms)
    for tenant in waiting:
        error = tenant.order.error if tenant.order is not None else None
        if error is not None and error["code"] == ModelLoadFailed.code:
            broken = InferenceError.from_dict(error)
            yield Decision(tenant.model, error=broken, turned_away=TurnedAway.ALL)
            continue
        decision = _granted(tenant, memory, Why.DEMAND)
        if decision is not None:
            yield decision
        elif tenant.needed_bytes <= memory.soon(tenant):
            return
        elif not policy.swap or tenant.needed_bytes > memory.most(tenant):
            yield _refuse(tenant, memory.refusal(tenant))
        else:
            share_ms = policy.max_wait_ms / len(waiting)
            yield from _make_room(tenant, memory, now_ms, share_ms, policy.grace_s)
            return


def _is_demanded(tenant: ModelState, policy: Policy) -> bool:
    """Whether requests wait for a model that is not loaded, and are to get it.

    What was accepted while a model was loaded is answered, though it left meanwhile.
    """
    if not tenant.waiting or tenant.wish is not None or not tenant.loadable:
        return False
    if tenant.phase not in (Phase.ABSENT, Phase.RESTING):
        return False
    left = tenant.order is not None and tenant.order.why in (Why.IDLE, Why.SWAP)
    return policy.on_demand or left


def _make_room(
    tenant: ModelState, memory: _Memory, now_ms: int, share_ms: float, grace_s: float
) -> Iterator[Decision]:
    """Idle models leave at once, the one used longest ago first; busy ones after their part."""
    loaded = [other for other in memory.tenants if other.phase is Phase.LOADED]
    idle = sorted(
        (other for other in loaded if not other.busy), key=lambda other: other.quiet_since_ms
    )
    ripe = sorted(
        (other for other in loaded if other.busy and _had_its_part(other, now_ms, share_ms)),
        key=lambda other: other.loaded_ms,
    )
    candidates = idle + (ripe if now_ms - tenant.demanded_ms >= share_ms else [])
    freed = memory.soon(tenant)
    leaving: list[ModelState] = []
    for other in candidates:
        if freed >= tenant.needed_bytes:
            break
        leaving.append(other)
        freed += other.needed_bytes
    if freed < tenant.needed_bytes:
        return
    for other in leaving:
        yield Decision(other.model, Target.UNLOADED, Why.SWAP, grace_s)


def _had_its_part(tenant: ModelState, now_ms: int, share_ms: float) -> bool:
    return tenant.has_served and now_ms - tenant.loaded_ms >= share_ms


def _idle(memory: _Memory, now_ms: int, policy: Policy) -> Iterator[Decision]:
    """What nobody has used for a while leaves."""
    for tenant in memory.tenants:
        idle = tenant.phase is Phase.LOADED and not tenant.busy and tenant.wish is None
        if idle and policy.idle_ms and now_ms - tenant.quiet_since_ms >= policy.idle_ms:
            yield Decision(tenant.model, Target.UNLOADED, Why.IDLE, policy.grace_s)


def _abandoned(memory: _Memory, _now_ms: int, policy: Policy) -> Iterator[Decision]:
    """Requests that wait for a model somebody unloaded, and that nothing loads again."""
    for tenant in memory.tenants:
        order = tenant.order
        asked = order is not None and order.target is Target.UNLOADED and order.why is Why.ASKED
        if asked and tenant.waiting and not policy.on_demand and tenant.wish is None:
            gone = NoWorker(
                f"{tenant.model} was unloaded while the request waited for it. Load it with: "
                f"inference-service load {tenant.model}",
                details={"model": tenant.model},
            )
            yield Decision(tenant.model, error=gone, turned_away=TurnedAway.SYNCHRONOUS)


def _granted(
    tenant: ModelState, memory: _Memory, why: Why, *, forced: bool = False
) -> Decision | None:
    """The order to load a model that fits, or why it cannot be loaded; None: there is no room."""
    if tenant.missing is not None:
        error = ModelLoadFailed(
            f"{tenant.model}: {tenant.missing}", details={"model": tenant.model}
        )
        return _refuse(tenant, error)
    if not forced and tenant.needed_bytes > memory.free(tenant):
        return None
    memory.take(tenant.needed_bytes)
    return Decision(tenant.model, Target.LOADED, why)


def _refuse(tenant: ModelState, error: InferenceError) -> Decision:
    """It is not loaded, and whoever waits for it is told."""
    return Decision(
        tenant.model, Target.UNLOADED, Why.FAILED, error=error, turned_away=TurnedAway.ALL
    )
