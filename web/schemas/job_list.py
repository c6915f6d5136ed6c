"""The query of `GET /v1/jobs`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workers.contract.errors import ValidationFailed
from workers.contract.job import JobState

MOST = 100
_KNOWN = ("state", "model", "limit", "after")


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs are listed, and how many."""

    state: JobState | None
    model: str | None
    #: Id of the last job of the page before.
    after: str | None
    limit: int


def read_query(arguments: Mapping[str, str]) -> JobQuery:
    """The query in an address.

    Raises:
        ValidationFailed: a part is unknown or wrong; names it.
    """
    for name in arguments:
        if name not in _KNOWN:
            raise _wrong(name[:64], f"is unknown; known: {', '.join(_KNOWN)}")
    state = arguments.get("state")
    if state is not None and state not in list(JobState):
        raise _wrong("state", f"must be one of {', '.join(JobState)}")
    limit = arguments.get("limit", "20")
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 4 and 1 <= int(limit) <= MOST):
        raise _wrong("limit", f"must be a whole number from 1 to {MOST}")
    return JobQuery(
        state=None if state is None else JobState(state),
        model=arguments.get("model"),
        after=arguments.get("after"),
        limit=int(limit),
    )


def _wrong(param: str, problem: str) -> ValidationFailed:
    return ValidationFailed(f"{param} {problem}.", details={"param": param})
