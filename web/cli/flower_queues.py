"""The queues that Flower's Broker page shows, read by our own client."""

from __future__ import annotations

import asyncio
from typing import Any

from redis import Redis

from workers.app import ORCHESTRATION_QUEUE, model_queue, priority_lists
from workers.cluster.directory import Directory
from workers.contract import keys


class FlowerQueues:
    """What Flower takes for a client of its broker.

    Flower's own reads no database of a socket or of Sentinel, and no password of a user's (read in
    flower 2.2). It also shows the queues alone of workers that had answered it.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._directory = Directory(redis)

    async def queues(self, _names: object = ()) -> list[dict[str, Any]]:
        """Every queue that is consumed or has been, with the number of its messages.

        Raises:
            redis.RedisError: Redis is away.
        """
        return await asyncio.to_thread(self._counted)

    def _counted(self) -> list[dict[str, Any]]:
        models = {worker.model for worker in self._directory.workers() if worker.model}
        known: Any = self._redis.smembers(keys.MODELS)
        models |= {model.decode() for model in known}
        names = sorted({ORCHESTRATION_QUEUE, *map(model_queue, models)})
        lists = [priority_lists(name) for name in names]
        with self._redis.pipeline(transaction=False) as pipe:
            for rank in (rank for ranks in lists for rank in ranks):
                pipe.llen(rank)
            lengths = iter(pipe.execute())
        return [
            {"name": name, "messages": sum(next(lengths) for _ in ranks)}
            for name, ranks in zip(names, lists, strict=True)
        ]
