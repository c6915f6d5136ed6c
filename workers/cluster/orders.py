"""Orders: which models are to be loaded, and what was asked for.

A process that wants a model loaded or unloaded leaves a load request. The keeper alone turns load
requests into orders; workers and `up` follow them. Whoever was started for a model without an order
loads it.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.fields import known_fields
from workers.lua.scripts import run


class Target(enum.StrEnum):
    """What a model is to be."""

    LOADED = "loaded"
    UNLOADED = "unloaded"


class Why(enum.StrEnum):
    """What an order was given for."""

    #: It was asked for by name.
    ASKED = "asked"
    #: Requests wait for the model.
    DEMAND = "demand"
    #: Another model needs the room.
    SWAP = "swap"
    #: The model was not used for a while.
    IDLE = "idle"
    #: It could not be loaded; the order's `error` says why.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Order:
    """What the keeper decided for one model."""

    model: str
    target: Target
    why: Why
    #: Unix time in milliseconds, by Redis.
    since_ms: int
    #: With UNLOADED: seconds that running answers get before they are handed back; None: as long
    #: as they take.
    grace_s: float | None = None
    #: `InferenceError.to_dict()` of why it is not loaded.
    error: Mapping[str, Any] | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def from_json(cls, raw: bytes) -> Order:
        """Rebuild an order; fields of a newer version are ignored."""
        fields = known_fields(cls, json.loads(raw))
        fields["target"], fields["why"] = Target(fields["target"]), Why(fields["why"])
        return cls(**fields)

    def to_json(self) -> str:
        """The order as it is stored."""
        return json.dumps(dataclasses.asdict(self))


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What was asked for by name."""

    model: str
    target: Target
    #: Unix time in milliseconds, by the clock of the process that asked: it only orders them.
    since_ms: int
    #: To be loaded even where it does not fit.
    forced: bool = False
    #: As it is stored: what was read is removed, not what came instead of it.
    raw: bytes = b""

    @classmethod
    def from_json(cls, raw: bytes) -> LoadRequest:
        """Rebuild a load request."""
        fields = known_fields(cls, json.loads(raw))
        return cls(**{**fields, "target": Target(fields["target"]), "raw": raw})


class Orders:
    """Orders and load requests; every method raises `redis.RedisError` while Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def of(self, model: str) -> Order | None:
        """The order that holds for a model; None where none was given."""
        raw: Any = self._redis.hget(keys.ORDERS, model)
        return None if raw is None else Order.from_json(raw)

    def all(self) -> dict[str, Order]:
        """Every order, by model."""
        return orders_of(self._redis.hgetall(keys.ORDERS))

    def request(self, model: str, target: Target, now_ms: int, *, forced: bool = False) -> None:
        """Ask for a model to be loaded or unloaded; the last load request for a model counts."""
        request = {"model": model, "target": target, "since_ms": now_ms, "forced": forced}
        self._redis.hset(keys.LOAD_REQUESTS, model, json.dumps(request))

    def requested(self, model: str) -> LoadRequest | None:
        """The load request for a model that the keeper has not dealt with yet."""
        raw: Any = self._redis.hget(keys.LOAD_REQUESTS, model)
        return None if raw is None else LoadRequest.from_json(raw)

    def give(self, order: Order, request: LoadRequest | None = None) -> None:
        """Let an order hold from now on; the load request that it answers is gone."""
        self._run(order.model, order.to_json(), request)

    def settle(self, request: LoadRequest) -> None:
        """Drop a load request that needs no order."""
        self._run(request.model, "", request)

    def forget(self) -> None:
        """A new life of the service begins: it starts with the models it is set to start with."""
        self._redis.delete(keys.ORDERS, keys.LOAD_REQUESTS, keys.DEMANDS, keys.LOADED_SINCE)

    def supervise(self, supervisor: str) -> bool:
        """Say that this `up` starts what is ordered; False where another one does."""
        self._redis.set(keys.SUPERVISOR, supervisor, nx=True, px=keys.PRESENCE_TTL_MS)
        raw: Any = self._redis.get(keys.SUPERVISOR)
        if raw is None or raw.decode() != supervisor:
            return False
        self._redis.pexpire(keys.SUPERVISOR, keys.PRESENCE_TTL_MS)
        return True

    def clear_supervisor(self) -> None:
        """There is no other `up`: who says so died a moment ago."""
        self._redis.delete(keys.SUPERVISOR)

    def leave(self, supervisor: str) -> None:
        """This `up` starts nothing any longer."""
        raw: Any = self._redis.get(keys.SUPERVISOR)
        if raw is not None and raw.decode() == supervisor:
            self._redis.delete(keys.SUPERVISOR)

    def _run(self, model: str, order: str, request: LoadRequest | None) -> None:
        run(self._redis, "order", model, order, b"" if request is None else request.raw)


def orders_of(raw: Any) -> dict[str, Order]:
    """The orders in a hash as Redis gives it."""
    return {model.decode(): Order.from_json(order) for model, order in raw.items()}


def load_requests_of(raw: Any) -> dict[str, LoadRequest]:
    """The load requests in a hash as Redis gives it."""
    return {model.decode(): LoadRequest.from_json(request) for model, request in raw.items()}
