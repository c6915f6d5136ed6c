"""Every Redis key of ours: one function each. Celery's own keys (queues, results) are not here.

=========================  ===========  =====================  ==================================
key                        type         written by             lives
=========================  ===========  =====================  ==================================
job:{id}                   hash         Lua: store, take,      ACCEPTED_TTL_S; `keep_s` once the
                                        renew, append          job has ended
job:{id}:events            stream       Lua: store, append     as the job
job:{id}:live              channel      Lua: store, append     (pub/sub)
waiting:{model}            sorted set   Lua: store, take,      while steps wait for a worker;
                                        append                 score: priority, then age
leases                     sorted set   Lua: take, renew,      while a step runs; score: expiry
                                        reclaim, append        in ms of Redis TIME
cancels                    channel      Lua: append            (pub/sub) jobs that others ended
jobs:{owner}               sorted set   Lua: store; jobs       asynchronous jobs of one API key
                                                               (or of none); score: acceptance
worker:{id}                string       presence               PRESENCE_TTL_MS after a beat
workers                    set          presence               until the keeper sees it dead
loaded_once                set          presence               until `up` starts anew
keeper                     string       keeper's lock          KEEPER_TTL_S after a renewal
rate:{key}                 string       Lua: spend             until the allowance is whole
=========================  ===========  =====================  ==================================

Fields of `job:{id}`: `job` (JSON), `model`, `priority`, `rank` (of its messages), `keep_s` (how
long it outlives its end), `state`, `seq` (last event number), `terminal` (number of the terminal
event, once there is one), `created_ms`, `ended_ms`, `steps` (names), and for each step S:
`S:state`, `S:model`, `S:signature` (JSON, what the keeper sends again), `S:attempt`, `S:owner`,
`S:call` (which call took the lease), `S:expires_ms`, `S:written` (last entry of this attempt in
the log), `S:outcome` (JSON).
All times are Redis TIME in milliseconds.
"""

from __future__ import annotations

#: Every key of ours begins with this, so that a shared Redis stays readable.
PREFIX = "inference:"

#: How long a synchronous job's record and events outlive its end.
SYNC_TTL_S = 300
#: How long a job that was accepted but never ends may stay: longer than any deadline.
ACCEPTED_TTL_S = 7 * 86_400
#: A worker that has not been heard of for this long is dead.
PRESENCE_TTL_MS = 3000
#: The keeper's lock falls to another process after this long without a renewal.
KEEPER_TTL_S = 3.0

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


def jobs(owner: str | None) -> str:
    """The asynchronous jobs that one API key asked for, by acceptance: sorted set."""
    return f"{PREFIX}jobs:{owner or ''}"


def waiting(model: str) -> str:
    """Steps that wait for a worker of this model, the next one first: sorted set."""
    return f"{PREFIX}waiting:{model}"


def lease_member(job_id: str, step: str) -> str:
    """One step's member in the sorted sets of leases and of waiting steps."""
    return f"{job_id}|{step}"


def split_lease_member(member: str) -> tuple[str, str]:
    """Job id and step of a lease member."""
    job_id, _, step = member.rpartition("|")
    return job_id, step


def worker(worker_id: str) -> str:
    """What one worker process says of itself: JSON that expires when its beats stop."""
    return f"{PREFIX}worker:{worker_id}"


def rate(key_name: str) -> str:
    """When an API key's allowance of requests is whole again: microseconds of Redis TIME."""
    return f"{PREFIX}rate:{key_name}"
