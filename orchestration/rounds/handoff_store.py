"""Where handoffs are kept between rounds: each round begins from what the one before it wrote."""

from __future__ import annotations

from orchestration.handoff import HandoffState
from workers.caches.handoffs import Handoffs


def load(handoffs: Handoffs, job_id: str, round_: int) -> HandoffState | None:
    """What this round handed on; None where none is kept any longer, or it was cut.

    Raises:
        HandoffStateInvalid: a field of it is missing or wrong.
    """
    found = handoffs.get(job_id, round_)
    return None if found is None else HandoffState.from_dict(found)


def save(handoffs: Handoffs, state: HandoffState, round_: int) -> None:
    """Hand on what this round found, unless the job has ended; repeated, it does nothing more."""
    handoffs.store(state.request_id, round_, state.to_dict())
