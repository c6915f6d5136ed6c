"""Where handoffs are kept between rounds: in Redis, for an hour, and not after the job's end.

They stand under the job's id and the round's number, so that a running job can be inspected. Each
round begins from what the one before it wrote.
"""

from __future__ import annotations

import json
from typing import Any

from redis import Redis

from orchestration.handoff import HandoffState
from workers.contract import keys
from workers.contract.errors import HandoffStateInvalid
from workers.lua.scripts import run


def load(redis: Redis, job_id: str, round_: int) -> HandoffState | None:
    """What this round handed on; None where it is no longer kept.

    Raises:
        HandoffStateInvalid: it is not whole.
        redis.RedisError: Redis is away.
    """
    raw: Any = redis.get(keys.handoff(job_id, round_))
    if raw is None:
        return None
    try:
        return HandoffState.from_dict(json.loads(raw))
    except ValueError as error:
        raise HandoffStateInvalid("The state between two steps is no JSON.") from error


def save(redis: Redis, state: HandoffState, round_: int) -> None:
    """Hand on what this round found, unless the job has ended; repeated, it does nothing more.

    Raises:
        redis.RedisError: Redis is away.
    """
    text = json.dumps(state.to_dict(), ensure_ascii=False).encode(errors="replace")
    run(redis, "hand_on", state.request_id, round_, text, keys.HANDOFF_TTL_S)
