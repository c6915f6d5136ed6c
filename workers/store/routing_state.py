"""What all front ends know together of how busy the models are, and whose turn it is."""

from __future__ import annotations

from collections.abc import Sequence

from redis import Redis

from workers.contract import keys


class RoutingState:
    """Reads queued tokens and counts turns; raises `redis.RedisError` while Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def queued_tokens(self, models: Sequence[str]) -> list[int]:
        """For each model, the tokens that its waiting and running steps are expected to take."""
        with self._redis.pipeline(transaction=False) as pipe:
            for model in models:
                pipe.hget(keys.queued_tokens(model), "total")
            return [int(total or 0) for total in pipe.execute()]

    def turn(self, role: str) -> int:
        """The number of this request among those that take turns for a role, from 0."""
        return int(self._redis.incr(keys.turns(role))) - 1
