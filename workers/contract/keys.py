"""Every Redis key of ours: one function each. Celery's own keys (queues, results) are not here.

=========================  ===========  =====================  ==================================
key                        type         written by             lives
=========================  ===========  =====================  ==================================
job:{id}                   hash         submit, Lua scripts    SYNC_TTL_S after the job's end
job:{id}:events            stream       Lua append             as the job
job:{id}:live              channel      Lua append             (pub/sub)
leases                     sorted set   Lua lease, append      while a step runs; score: expiry, ms
cancels                    channel      jobs.cancel            (pub/sub) job ids to stop
worker:{id}                hash         presence               PRESENCE_TTL_MS after its last beat
workers                    set          presence               ids, pruned by the keeper
loaded_once                set          presence               until `up` starts anew
keeper                     string       keeper lock            KEEPER_TTL_MS
unacked:{id}:*             kombu's      kombu                  until the keeper sees it dead
=========================  ===========  =====================  ==================================

Fields of `job:{id}`: `job` (JSON), `state`, `seq` (last event number), `terminal` (number of the
terminal event, once there is one), `cancel` (the reason, once somebody asked), `created_ms`,
`ended_ms`, and for each step S: `step:S:state`, `step:S:signature` (JSON), `step:S:attempt`,
`step:S:owner`, `step:S:expires_ms` (Redis TIME), `step:S:outcome` (JSON).
"""

from __future__ import annotations

#: Every key of ours begins with this, so that a shared Redis stays readable.
PREFIX = "inference:"

#: How long a synchronous job's record and events outlive its end.
SYNC_TTL_S = 300
#: How long a job that was accepted but never ends may stay: longer than any deadline.
ACCEPTED_TTL_S = 7 * 86_400

LEASES = f"{PREFIX}leases"
CANCELS = f"{PREFIX}cancels"
WORKERS = f"{PREFIX}workers"
LOADED_ONCE = f"{PREFIX}loaded_once"
KEEPER = f"{PREFIX}keeper"

#: Matches the live channel of every job.
LIVE_PATTERN = f"{PREFIX}job:*:live"


def job(job_id: str) -> str:
    """The job's record: hash."""
    return f"{PREFIX}job:{job_id}"


def events(job_id: str) -> str:
    """The job's events: stream whose entry ids are `<seq>-0`, field `e` the event's bytes."""
    return f"{PREFIX}job:{job_id}:events"


def live(job_id: str) -> str:
    """The channel on which the job's events are published as they are stored."""
    return f"{PREFIX}job:{job_id}:live"


def job_of_live(channel: str) -> str:
    """The job id in a live channel's name."""
    return channel[len(f"{PREFIX}job:") : -len(":live")]


def lease_member(job_id: str, step: str) -> str:
    """One step's member in the sorted set of leases."""
    return f"{job_id}|{step}"


def split_lease_member(member: str) -> tuple[str, str]:
    """Job id and step of a lease member."""
    job_id, _, step = member.rpartition("|")
    return job_id, step


def worker(worker_id: str) -> str:
    """What one worker process says of itself: hash that expires when its beats stop."""
    return f"{PREFIX}worker:{worker_id}"


def unacked(worker_id: str) -> str:
    """Prefix of kombu's keys for messages that this worker took and has not acknowledged."""
    return f"{PREFIX}unacked:{worker_id}"
