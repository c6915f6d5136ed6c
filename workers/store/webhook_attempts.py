"""Attempts to call a job's webhook, as they are kept with its record."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.fields import known_fields

#: An answer that asks for no further call.
_GONE = 410
#: How the error of a call begins that the service would not make.
REFUSED = "refused: "


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to call a job's webhook."""

    #: Unix time in seconds.
    at: int
    took_ms: float
    #: The receiver's HTTP status; None where there was none.
    status: int | None = None
    #: Why there was no status.
    error: str | None = None

    @property
    def delivered(self) -> bool:
        """The receiver has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def outcome(self) -> str:
        """`delivered`, `rejected` (by its status), `refused` (by the service) or `unreachable`."""
        if self.status is not None:
            return "delivered" if self.delivered else "rejected"
        return "refused" if (self.error or "").startswith(REFUSED) else "unreachable"

    @property
    def final(self) -> bool:
        """No other attempt follows."""
        return self.delivered or self.status == _GONE


def add(redis: Redis, job_id: str, attempt: Attempt) -> int:
    """Keep an attempt as long as the job is kept; returns its number, from 1."""
    number: Any = redis.rpush(keys.webhook(job_id), json.dumps(asdict(attempt)))
    left_s: Any = redis.ttl(keys.job(job_id))
    redis.expire(keys.webhook(job_id), max(1, left_s))
    return int(number)


def listed(redis: Redis, job_id: str) -> list[Attempt]:
    """Attempts so far, in order; fields of a newer version are ignored."""
    attempts: Any = redis.lrange(keys.webhook(job_id), 0, -1)
    return [Attempt(**known_fields(Attempt, json.loads(raw))) for raw in attempts]
