"""Every Redis key of ours: one function each. Celery's own keys (queues, results) are not here.

=========================  ===========  =====================  ==================================
key                        type         written by             lives
=========================  ===========  =====================  ==================================
job:{id}                   hash         Lua: store, take,      ACCEPTED_TTL_S; `keep_s` once the
                                        renew, append          job has ended
job:{id}:events            stream       Lua: store, append     as the job
job:{id}:live              channel      Lua: store, append     (pub/sub)
waiting:{model}            sorted set   Lua: store, take,      while steps wait for a worker;
                                        append, age            score: rank, then since when
waiting_of:{owner}:{model} sorted set   as waiting:{model}     the part of one API key
running:{model}            set          Lua: take, append,     while steps run
                                        reclaim
pace:{model}               string       Lua: append            for ever: what a step takes, in ms,
                                                               recent ones weighing most
burden:{model}             hash         Lua: store, advance,   while steps wait or run: the tokens
                                        append, take           that each is expected to take, by
                                                               its member, and their `total`
turns:{role}               string       routing state          for ever: requests routed by turns
held:{worker}              set          Lua: take, append,     while a worker lives: steps it
                                        reclaim, hand_back     runs, which crash with it
resend                     sorted set   Lua: reclaim,          steps whose message is to be sent
                                        hand_back; keeper      again; score: its rank
due                        sorted set   Lua: advance, wake     steps that are to run later; score:
                                                               when
rounds                     sorted set   Lua: store, advance,   steps that follow others which are
                                        append                 not waited for without end; score:
                                                               when the rest of those is given up
handoff:{job}:{round}      string       Lua: cache_store,      HANDOFF_TTL_S, or until the job
                                        append                 ends: what one round hands to the
                                                               next (JSON)
cached:{name}:{member}     string       Lua: cache_store       the time of its cache, or until it
                                                               makes room: one value
cache:{name}               sorted set   Lua: cache_store,      while there are values: members
                                        cache_get, cache_drop  `{model}|{id}`; score: last use
cache:{name}:expires       sorted set   Lua: cache_store       the same; score: when it expires
cache:{name}:sizes         hash         Lua: cache_store       the same: bytes, and their `total`
cache:{name}:generation    string       Lua: cache_drop        for ever: how often something was
                                                               dropped
cached_models              hash         keeper                 while a model is loaded: the hash
                                                               of its files, for which caches
                                                               hold; and the preset
dead                       sorted set   keeper; dead letters   dead letters; score: when
models                     set          Lua: store             for ever: models that had a job
slots                      sorted set   Lua: store, hold,      open synchronous requests; score:
                                        append                 when an abandoned one is let go
queued                     sorted set   Lua: store, take,      asynchronous jobs of which no step
                                        append                 has run; score: acceptance
deadlines                  sorted set   Lua: store, append     jobs with a deadline; score: it
webhooks                   sorted set   Lua: append; keeper    jobs that are to call a webhook;
                                                               score: when to try
job:{id}:webhook           list         keeper                 as the job: attempts (JSON)
idempotency:{scope}        string       Lua: store, append     as the job: its id, and a hash of
                                                               the body
coalesced:{digest}         string       Lua: store             an hour: the job that requests which
                                                               ask the same read together
leases                     sorted set   Lua: take, renew,      while a step runs; score: expiry
                                        reclaim, append,       in ms of Redis TIME
                                        hand_back
cancels                    channel      Lua: append            (pub/sub) jobs and steps that others
                                                               ended
deleted                    sorted set   Lua: delete            DELETED_TTL_S: jobs whose callers
                                                               deleted them; score: when
jobs:{owner}               sorted set   Lua: store, delete,    asynchronous jobs of one API key,
                                        make_room, trim; jobs  by its id (or of none); score:
                                                               acceptance
owners                     set          Lua: store, trim       while jobs of an API key (or of
                                                               none) are listed or counted
stored                     hash         Lua: store, advance,   while jobs of an API key are kept:
                                        append, delete,        owner -> bytes that they take
                                        make_room, trim
stored:{owner}             hash         as stored              job -> bytes that it takes
worker:{id}                string       presence               PRESENCE_TTL_MS after a beat
workers                    set          presence               until the keeper sees it dead
drain:{worker}             string       who asks for it        DRAIN_TTL_MS, or until the worker
                                                               has seen it (JSON)
served:{model}             string       presence               SERVED_TTL_MS after a beat of a
                                                               worker that answers; a leaving one
                                                               removes it
loaded_once                set          presence               until `up` starts anew
orders                     hash         Lua: order (keeper)    until `up` starts anew: what each
                                                               model is to be (JSON)
wishes                     hash         front ends             until the keeper has dealt with it:
                                                               what was asked for (JSON)
demands                    sorted set   keeper                 models that are not loaded while
                                                               requests wait; score: since when
loaded_since               hash         keeper                 while an order holds: model -> when
                                                               it was first seen loaded
used                       hash         Lua: take; keeper      for ever: model -> when it was used
measured                   hash         keeper                 for ever: model -> bytes it took
supervisor                 string       `up`                   PRESENCE_TTL_MS after a beat: who
                                                               starts what is ordered
keeper                     string       keeper's lock          KEEPER_TTL_S after a renewal
rate:{id}                  string       Lua: spend             until the allowance is whole
tokenizer                  string       the tokenizer          PRESENCE_TTL_MS after a beat: its id
tokenizer:calls            list         who counts tokens      15 s: numbers of calls
tokenizer:urgent           list         orchestration          15 s: those that are taken first
tokenizer:call:{number}    string       who counts tokens      15 s, or until it is taken (JSON)
tokenizer:reply:{number}   list         the tokenizer          5 s: the one answer
tokenizer:wake             list         who counts tokens      15 s: that a tokenizer is to start
calls:{model}              list         who calls a worker     as long as its callers wait: numbers
                                                               of calls
models:call:{number}       string       who calls a worker     so long, or until it is taken (JSON)
models:reply:{number}      list         the model's worker     5 s: the one answer (JSON)
metrics                    hash         Lua: count             for ever: what all processes have
                                                               counted, by series
metrics:{process}:number   string       Lua: count             a day after a report: its number
=========================  ===========  =====================  ==================================

Fields of `job:{id}`: `job` (JSON), `ended_job` (JSON, what `job` becomes when it ends), `scope` (of
its Idempotency-Key), `model`, `priority`, `rank` (of its messages), `keep_s` (how
long it outlives its end), `owner`, `deadline_ms`, `webhook`, `state`, `seq` (last event number),
`terminal` (number of the terminal event, once there is one), `created_ms`, `ended_ms`, `steps`
(names), and for each step S: `S:state`, `S:model`, `S:signature` (JSON, what the keeper sends
again), `S:attempt`, `S:owner`, `S:call` (which call took the lease), `S:taken_ms`, `S:crashes` (of
workers that ran it alone), `S:crashes_together`, `S:alone` (it may only run alone), `S:written`
(last entry of this attempt in the log), `S:outcome` (JSON), `S:part` (what its model does in the
job), `S:added_ms`, `S:assignment` (JSON, what it is to decode where that is not the caller's own),
`S:text` (its whole text, for what follows), `S:then` (the step that follows it and its like),
`S:follows` (how many steps it still waits for), `S:answered` (how many of them said something),
`S:quorum`, `S:grace_ms`, `S:timeout_ms` (how long they are waited for). Where requests that ask the
same may read one job, `readers` is how many do.
All times are Redis TIME in milliseconds.
"""

from __future__ import annotations

#: Every key of ours begins with this, so that a shared Redis stays readable.
PREFIX = "inference:"

#: Scores of `waiting` and `waiting_of` are rank times this, plus since when the step waits: further
#: apart than any two times, it is 316 years.
RANK_SPAN_MS = 10**13

#: How long a synchronous job's record and events outlive its end.
SYNC_TTL_S = 300
#: How long a job that was accepted but never ends may stay: longer than any deadline.
ACCEPTED_TTL_S = 7 * 86_400
#: A worker without a heartbeat for this long is dead.
PRESENCE_TTL_MS = 3000
#: A worker that is there sees within this that it is to drain.
DRAIN_TTL_MS = 60_000
#: A model whose worker has fallen silent is waited for, this long after its last beat.
SERVED_TTL_MS = 15_000
#: A worker that becomes another process to give its memory back has a heartbeat again within this.
REBIRTH_TTL_MS = 60_000
#: A synchronous request whose front end died is no longer counted as open after this long.
SLOT_MS = 10_000
#: How long what one round handed to the next can be read.
HANDOFF_TTL_S = 3600
#: The keeper's lock falls to another process after this long without a renewal.
KEEPER_TTL_S = 3.0

LEASES = f"{PREFIX}leases"
CANCELS = f"{PREFIX}cancels"
MODELS = f"{PREFIX}models"
RESEND = f"{PREFIX}resend"
DUE = f"{PREFIX}due"
ROUNDS = f"{PREFIX}rounds"
DEAD = f"{PREFIX}dead"
SLOTS = f"{PREFIX}slots"
QUEUED = f"{PREFIX}queued"
DEADLINES = f"{PREFIX}deadlines"
WEBHOOKS = f"{PREFIX}webhooks"
WORKERS = f"{PREFIX}workers"
LOADED_ONCE = f"{PREFIX}loaded_once"
ORDERS = f"{PREFIX}orders"
LOAD_REQUESTS = f"{PREFIX}wishes"
DEMANDS = f"{PREFIX}demands"
LOADED_SINCE = f"{PREFIX}loaded_since"
USED = f"{PREFIX}used"
MEASURED = f"{PREFIX}measured"
SUPERVISOR = f"{PREFIX}supervisor"
KEEPER = f"{PREFIX}keeper"
OWNERS = f"{PREFIX}owners"
STORED = f"{PREFIX}stored"
DELETED = f"{PREFIX}deleted"
METRICS = f"{PREFIX}metrics"
CACHED_MODELS = f"{PREFIX}cached_models"

TOKENIZER = f"{PREFIX}tokenizer"
TOKENIZER_CALLS = f"{PREFIX}tokenizer:calls"
TOKENIZER_URGENT = f"{PREFIX}tokenizer:urgent"
TOKENIZER_WAKE = f"{PREFIX}tokenizer:wake"

#: Seconds for which workers may still learn that a job was deleted. What is kept on disk of jobs is
#: not used for so long: a worker that was away for longer finds nothing of a deleted one.
DELETED_TTL_S = 86_400
#: Prefix of every `waiting_of`.
WAITING_OF = f"{PREFIX}waiting_of:"
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


def stored(owner: str) -> str:
    """The jobs of one API key and the bytes that each takes: hash."""
    return f"{STORED}:{owner}"


def waiting(model: str) -> str:
    """Steps that wait for a worker of this model, the next one first: sorted set."""
    return f"{PREFIX}waiting:{model}"


def waiting_of(owner: str, model: str) -> str:
    """The part of `waiting` that one API key asked for: sorted set."""
    return f"{WAITING_OF}{owner}:{model}"


def running(model: str) -> str:
    """Steps that workers of this model hold: set."""
    return f"{PREFIX}running:{model}"


def held(worker_id: str) -> str:
    """Steps that one worker runs: set."""
    return f"{PREFIX}held:{worker_id}"


def pace(model: str) -> str:
    """Milliseconds that a step of this model takes, as a moving average."""
    return f"{PREFIX}pace:{model}"


def queued_tokens(model: str) -> str:
    """Tokens that waiting and running steps of this model are expected to take: hash."""
    return f"{PREFIX}burden:{model}"


def turns(role: str) -> str:
    """How many requests were routed to the models of a role, each model in its turn."""
    return f"{PREFIX}turns:{role}"


def webhook(job_id: str) -> str:
    """Attempts to call the job's webhook, in order: list of JSON."""
    return f"{PREFIX}job:{job_id}:webhook"


def handoff(job_id: str, round_: int) -> str:
    """What this round of a job handed to the next: JSON."""
    return f"{PREFIX}handoff:{job_id}:{round_}"


def cache(name: str, part: str = "") -> str:
    """The entries of a cache by their last use: sorted set; or what is kept of them beside."""
    return f"{PREFIX}cache:{name}{f':{part}' if part else ''}"


def idempotency(scope: str) -> str:
    """The job that a caller's Idempotency-Key stands for."""
    return f"{PREFIX}idempotency:{scope}"


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


def calls(model: str) -> str:
    """Calls on the workers of a model that are neither jobs nor steps: a list of numbers."""
    return f"{PREFIX}calls:{model}"


def call(service: str, number: str) -> str:
    """What one call asks of a service, `tokenizer` or `models`: JSON."""
    return f"{PREFIX}{service}:call:{number}"


def reply(service: str, number: str) -> str:
    """What it answers: a list of one entry, so that its caller can wait for it."""
    return f"{PREFIX}{service}:reply:{number}"


def drain(worker_id: str) -> str:
    """That a worker is to end its answers and itself: JSON that expires."""
    return f"{PREFIX}drain:{worker_id}"


def served(model: str) -> str:
    """The worker that said last that it answers for a model: a string that expires."""
    return f"{PREFIX}served:{model}"
