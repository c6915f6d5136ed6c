"""Taking jobs in: the terms that the record's script is asked to hold, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from workers.contract import keys


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What a caller's Idempotency-Key stands for."""

    #: The key, with what it is scoped to.
    scope: str
    #: Hash of the body, in hexadecimal.
    digest: str


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a job is taken in."""

    #: The queue priority of its messages: 0 runs first, 9 last.
    rank: int
    #: Seconds the record and its events outlive the job's end.
    keep_s: float = keys.SYNC_TTL_S
    #: Jobs of its kind that may be there at once: open synchronous requests, or asynchronous
    #: jobs that have not begun. None: any number.
    limit: int | None = None
    #: Steps that its API key may have waiting in their own list; more enter one lower. None: any.
    share: int | None = None
    #: Bytes that all jobs of its API key may take in Redis. None: any number.
    stored_limit: int | None = None
    idempotency: Idempotency | None = None
    #: Hash of what jobs have alike that several requests may read; None: it is its request's own.
    alike: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A job was stored."""

    rank: int
    #: Place of its first step in its model's queue, 1 the next.
    position: int
    #: Steps that workers of that model run now.
    running: int


@dataclass(frozen=True, slots=True)
class Full:
    """A job was not stored: as many of its kind are there as may be."""

    there: int
    #: Steps that wait for its first model, and steps that run on it.
    waiting: int
    running: int


@dataclass(frozen=True, slots=True)
class OverShare:
    """A job was not stored: with it its API key's jobs would take more bytes than they may."""

    #: Bytes that they take now.
    stored: int
    #: Bytes that this one would take.
    own: int


@dataclass(frozen=True, slots=True)
class Known:
    """A job was not stored: its Idempotency-Key stands for another already."""

    job_id: str
    #: False where that one came with another body.
    same_body: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """A job was not stored: one that is alike runs, and has a reader more now."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Durability:
    """Where a job must be before it is acknowledged, beside Redis' memory."""

    #: On Redis' disk.
    on_disk: bool = False
    #: On so many of its replicas.
    replicas: int = 0


#: What Redis' own settings give: memory now, the disk within a second.
IN_MEMORY = Durability()


class NotDurable(Exception):
    """A stored job is not known to be where it must be; the message names the setting and why."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What stands before a new job of a model."""

    #: Steps that would run before it.
    waiting: int
    running: int
    #: Milliseconds that a step of the model takes on average; None before one ended.
    step_ms: float | None

    def wait_s(self, position: int, capacity: int) -> float | None:
        """Seconds until the step at this place (1 the next) begins; None where that is unknown.

        `capacity` is how many steps the model's workers run at once.
        """
        ahead = position - max(0, capacity - self.running)
        if ahead <= 0:
            return 0.0
        if self.step_ms is None or not capacity:
            return None
        return ahead * self.step_ms / capacity / 1000
