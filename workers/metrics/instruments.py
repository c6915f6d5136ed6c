"""The instruments: every metric that a process counts itself, with its labels and buckets.

What Redis knows anyway (queues, workers, memory) is not counted here; `state.py` reads it. Each
label has few values: no ids, no names of keys, and only models, modes and routes that the service
knows.

Names that begin with `gen_ai` and `http` are OpenTelemetry's, spelled as Prometheus does: dots are
underscores, and the unit is the end of the name.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

#: `gen_ai.provider.name`: who answers.
PROVIDER = "inference-service"
#: The label of what the service does not know, whatever its caller named.
UNKNOWN = "unknown"
#: The label of requests that are about no model, or that no mode answers.
NONE = "none"


class Kind(enum.Enum):
    """What a metric does over time."""

    #: It only grows.
    COUNTER = "counter"
    #: Values by their size.
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Instrument:
    """A metric that processes count."""

    #: Without the end that Prometheus gives to a counter (`_total`) or a histogram (`_bucket`).
    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    #: Upper bounds of a histogram's buckets. Other buckets need another name: sums of before would
    #: have counts in the old ones alone.
    buckets: tuple[float, ...] = ()


#: Name -> instrument.
INSTRUMENTS: dict[str, Instrument] = {}


def _counter(name: str, help_: str, *labels: str) -> Instrument:
    return _register(Instrument(name, Kind.COUNTER, help_, labels))


def _histogram(name: str, help_: str, *labels: str, buckets: tuple[float, ...]) -> Instrument:
    return _register(Instrument(name, Kind.HISTOGRAM, help_, labels, buckets))


def _register(instrument: Instrument) -> Instrument:
    INSTRUMENTS[instrument.name] = instrument
    return instrument


# Buckets of `gen_ai.*`: OpenTelemetry's semantic conventions for generative AI, of model servers.
_DURATION_S = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
_FIRST_TOKEN_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
_PER_TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
# Buckets of `http.server.request.duration`: OpenTelemetry's semantic conventions for HTTP; and the
# three of a long answer.
_HTTP_S = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0,
    300.0,
)  # fmt: skip
#: A queue is short or minutes long.
_WAIT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_LOAD_S = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)

_GEN_AI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")

# What front ends count.
REQUESTS = _counter(
    "inference_requests",
    "Requests that were answered to their last byte, by status; error is the error's code, also "
    "where a stream failed after its status was sent.",
    "route", "method", "model", "mode", "code", "error",
)  # fmt: skip
HTTP_DURATION = _histogram(
    "http_server_request_duration_seconds",
    "Seconds from a request's head to the last byte of its answer.",
    "http_route", "http_request_method", "http_response_status_code",
    buckets=_HTTP_S,
)  # fmt: skip
REFUSED_REQUESTS = _counter(
    "inference_refused_requests",
    "Requests that were refused before they were whole, and are in no other metric.",
    "reason",
)

# What workers count, of each step; a request in the mode `single` is one.
FIRST_TOKEN = _histogram(
    "gen_ai_server_time_to_first_token_seconds",
    "Seconds from when a step could run to its first token.",
    *_GEN_AI,
    buckets=_FIRST_TOKEN_S,
)
PER_TOKEN = _histogram(
    "gen_ai_server_time_per_output_token_seconds",
    "Seconds for each token of a step after its first, on average over the step.",
    *_GEN_AI,
    buckets=_PER_TOKEN_S,
)
DURATION = _histogram(
    "gen_ai_server_request_duration_seconds",
    "Seconds from when a step could run to its end; error_type is the error's code.",
    *_GEN_AI,
    "error_type",
    buckets=_DURATION_S,
)
BETWEEN_TOKENS = _histogram(
    "inference_time_between_tokens_seconds",
    "Seconds between one token of a step and the next.",
    "model",
    buckets=(0.001, 0.0025, 0.005, *_PER_TOKEN_S),
)
QUEUE_WAIT = _histogram(
    "inference_queue_wait_seconds",
    "Seconds that a step waited until a worker took it.",
    "model", "priority",
    buckets=_WAIT_S,
)  # fmt: skip
STEPS = _counter(
    "inference_steps",
    "Steps that ended on a worker; outcome is the finish reason, or error, cancelled, handed_back.",
    "model", "mode", "outcome",
)  # fmt: skip
TOKENS = _counter(
    "inference_tokens",
    "Tokens of steps that ended; type is input, output, cached (of the input) or reasoning (of the "
    "output).",
    "model", "type",
)  # fmt: skip
RECOVERED_STEPS = _counter(
    "inference_recovered_steps", "Steps that went on after another attempt at them.", "model"
)
RETRIED_STEPS = _counter(
    "inference_retried_steps", "Steps that an orchestration mode let do again.", "model", "mode"
)
PREEMPTIONS = _counter(
    "inference_preemptions", "Answers that left a full KV pool and resumed later.", "model"
)
DRAFTED_TOKENS = _counter(
    "inference_drafted_tokens",
    "Tokens that were guessed and decoded ahead; outcome is accepted (they came) or rejected.",
    "model", "outcome",
)  # fmt: skip
PROMPTS_ON_DISK = _counter(
    "inference_prompts_on_disk",
    "Prompts that were written to the disk, and restored from there; event is which.",
    "model", "event",
)  # fmt: skip
LOADS = _counter(
    "inference_model_loads", "Loads of a model; outcome is loaded or failed.", "model", "outcome"
)
LOAD_DURATION = _histogram(
    "inference_model_load_seconds", "Seconds that a load took.", "model", buckets=_LOAD_S
)

# What every process counts.
SPANS = _counter(
    "inference_spans",
    "Spans of traces; outcome is sent, or dropped where the collector did not take them.",
    "outcome",
)
CACHE_HITS = _counter("inference_cache_hits", "Times that a cache had what was asked for.", "cache")
CACHE_MISSES = _counter(
    "inference_cache_misses", "Times that it had it not, for whatever reason.", "cache"
)
CACHE_EVICTIONS = _counter(
    "inference_cache_evictions", "Entries that made room for others before their time.", "cache"
)

# What the keeper counts.
LOST_STEPS = _counter(
    "inference_lost_steps", "Steps that lost their worker and are to run again.", "rerun"
)
DEAD_LETTERS = _counter(
    "inference_dead_letters_added", "Jobs that were set aside, since they killed their workers."
)
WEBHOOKS = _counter(
    "inference_webhook_attempts",
    "Calls of webhooks; outcome is delivered, rejected (by its status), unreachable or refused (by "
    "the service).",
    "outcome",
)
