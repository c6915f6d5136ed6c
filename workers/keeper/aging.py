"""Aging: what waits long moves up, so that nothing waits for ever while more urgent work comes."""

from __future__ import annotations

import logging
import time
from typing import Any

from redis import Redis

from workers.app import model_queue, priority_lists
from workers.contract import keys
from workers.keeper.duties import Duty, Resources, register
from workers.lua.scripts import run

log = logging.getLogger(__name__)

#: Looks within the time after which a message moves: it moves at most this part of it late.
LOOKS = 10
#: Messages of one model that move in one look at most, so that the script never holds Redis long.
BATCH = 500


class Aging:
    """A duty of the keeper: moves messages one list up every `aging_s`."""

    def __init__(self, redis: Redis, aging_s: float) -> None:
        self._redis = redis
        self._aging_s = aging_s
        self._next_look = 0.0

    def begin(self) -> None:
        """Look at once."""
        self._next_look = 0.0

    def sweep(self) -> None:
        """Move what has waited long enough in its list."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + self._aging_s / LOOKS
        members: Any = self._redis.smembers(keys.MODELS)
        for model in sorted(raw.decode() for raw in members):
            lists = priority_lists(model_queue(model))
            moved = run(self._redis, "age", model, int(self._aging_s * 1000), BATCH, *lists)
            if moved:
                log.info("keeper: %d messages of %s moved up", moved, model)


@register
def _duty(resources: Resources) -> Duty | None:
    settings = resources.settings
    if settings.effective_queue_strategy != "priority":
        return None
    return Aging(resources.redis, settings.aging_s)
