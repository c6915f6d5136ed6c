"""What is asked: a job, its steps, and how a step ended.

These travel between processes as JSON. `version` lets old and new workers run side by side while
an upgrade rolls: readers ignore fields they do not know and refuse a newer major version.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Raised when an old reader could misunderstand what a new writer wrote.
VERSION = 1

#: Name of the step whose tokens are the answer; tokens of other steps are not.
ANSWER = "answer"
#: Stands for the model of steps that need none: what decides between two rounds. No model id
#: begins with such a character.
ORCHESTRATOR = "@orchestration"
#: Finish reason of a step that was not waited for any longer; it is not done again.
LATE = "late"


class JobState(enum.StrEnum):
    """Where a job is in its life."""

    #: Accepted and stored; no worker has taken a step of it yet.
    QUEUED = "queued"
    #: A worker holds the lease of one of its steps.
    RUNNING = "running"
    #: Ended with an answer.
    COMPLETED = "completed"
    #: Ended with an error.
    FAILED = "failed"
    #: Ended because somebody asked for that.
    CANCELLED = "cancelled"
    #: Ended because its deadline passed.
    EXPIRED = "expired"


class Priority(enum.IntEnum):
    """The caller's scale: a higher number is more urgent."""

    #: Work for idle hours; jobs only, nobody waits on the line for it.
    BULK = 0
    LOW = 1
    NORMAL = 2
    HIGH = 3


class StepState(enum.StrEnum):
    """Where one step of a job is."""

    #: Planned; its message may or may not be in a queue.
    PENDING = "pending"
    #: A worker holds its lease.
    RUNNING = "running"
    #: Its outcome is stored.
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation. `tool_calls` is passed to the chat template as it came."""

    role: str
    content: str | None = None
    name: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] | None = None
    tool_call_id: str | None = None
    #: What the assistant thought before it said this. Templates decide what becomes of it: those
    #: that know the name send it again within a round of tool calls and drop it else.
    reasoning_content: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The message as a chat template expects it: absent fields left out, content a string."""
        turn: dict[str, Any] = {"role": self.role, "content": self.content or ""}
        if self.name:
            turn["name"] = self.name
        if self.tool_calls:
            turn["tool_calls"] = list(self.tool_calls)
        if self.tool_call_id:
            turn["tool_call_id"] = self.tool_call_id
        if self.reasoning_content:
            turn["reasoning_content"] = self.reasoning_content
        return turn


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """What the text of the answer must parse as."""

    #: `json_object` or `json_schema`.
    type: str
    #: A JSON Schema in the subset of `workers.contract.json_schema`; None with `json_object`.
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. The defaults are llama.cpp's own (`common_params_sampling`)."""

    #: Tokens to produce at most; None: as many as the context has room for.
    max_tokens: int | None = None
    #: 0 takes the most likely token every time.
    temperature: float = 0.8
    top_p: float = 0.95
    #: 0 keeps every token.
    top_k: int = 40
    min_p: float = 0.05
    #: Texts that end the answer; they are not part of it.
    stop: tuple[str, ...] = ()
    #: None: a fresh seed for every request.
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    #: None: any text.
    response_format: ResponseFormat | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    #: Prompt tokens that were already in the cache.
    cached_tokens: int = 0
    #: Of the completion tokens: those in which the model thought.
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Part:
    """What one model does in a job."""

    #: `answer`, `generator`, `critic`, `draft`, `refine`, `participant`, ...: the mode's own words.
    part: str
    model: str


@dataclass(frozen=True, slots=True)
class Job:
    """One request, as it was accepted. Never changes; its record in Redis holds what does."""

    id: str
    model: str
    messages: tuple[Message, ...]
    #: Unix time in seconds.
    created: int
    sampling: Sampling = field(default_factory=Sampling)
    #: "" until it is settled, which it is before the job is stored.
    mode: str = "single"
    priority: Priority = Priority.NORMAL
    task_type: str | None = None
    user: str | None = None
    #: The X-Request-ID under which the logs tell of it.
    request_id: str | None = None
    #: Name of the API key that asked; None where none was needed. Others never see the job.
    owner: str | None = None
    #: Nobody waits on the line for it: it is listed, and its result kept for whoever asks later.
    asynchronous: bool = False
    #: Seconds after its acceptance by which it must have ended; None: it may take its time.
    deadline_s: float | None = None
    #: Where the keeper tells of its end.
    webhook: str | None = None
    #: Who does what, in the mode's order; empty in mode `single`.
    cast: tuple[Part, ...] = ()
    #: The mode's bounds, as the settings had them when it was accepted.
    bounds: Mapping[str, float | str] = field(default_factory=dict)
    #: Where its model was chosen for it: `model`, `requested`, `strategy` and `reason`. None where
    #: its caller named the model.
    routing: Mapping[str, str] | None = None
    version: int = VERSION

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Rebuild a job.

        Raises:
            ValueError: it was written by a newer, incompatible version.
        """
        if data["version"] > VERSION:
            raise ValueError(f"job of version {data['version']}; this process reads {VERSION}")
        known = _known(cls, data)
        known["messages"] = _messages(data["messages"])
        known["sampling"] = _sampling(data["sampling"])
        known["priority"] = Priority(data["priority"])
        known["cast"] = tuple(Part(**_known(Part, part)) for part in data.get("cast", ()))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one step is to decode, where that is not what its job's caller sent."""

    messages: tuple[Message, ...]
    sampling: Sampling

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Assignment:
        """Rebuild an assignment."""
        return cls(_messages(data["messages"]), _sampling(data["sampling"]))


@dataclass(frozen=True, slots=True)
class StepRequest:
    """One model's part in a job, as the plan names it. Holds ids, never prompts."""

    job_id: str
    #: Name of the step, unique in its job: `answer`, `draft`, `critique-1`; what is done again has
    #: a number behind a dot, `draft.2`.
    step: str
    model: str
    #: True where this step's end is the job's end; else what comes next is decided then.
    ends_job: bool
    #: What its model does in the job.
    part: str = ANSWER

    @property
    def answers(self) -> bool:
        """Whether its tokens are the answer."""
        return is_answer(self.step)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepRequest:
        """Rebuild a step request."""
        return cls(**_known(cls, data))


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds a step spent, as its worker measured them."""

    #: Waiting for a worker that had its model.
    queued_ms: float = 0.0
    #: Waiting for a worker that was loading its model.
    loading_ms: float = 0.0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one step ended, stored in the job's record."""

    step: str
    model: str
    attempt: int
    finish_reason: str
    usage: Usage
    timings: Timings
    #: The most tokens (prompt and completion) one request of this model may use.
    context_length: int
    #: `InferenceError.to_dict()` of a step that failed without ending its job; its finish reason is
    #: `error` then.
    error: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Outcome:
        """Rebuild an outcome."""
        known = _known(cls, data)
        known["usage"] = Usage(**_known(Usage, data["usage"]))
        known["timings"] = Timings(**_known(Timings, data["timings"]))
        return cls(**known)


def is_answer(step: str) -> bool:
    """Whether the tokens of the step of this name are the answer."""
    return step.partition(".")[0] == ANSWER


def _messages(data: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    return tuple(
        Message(**{**_known(Message, one), "tool_calls": _tuple(one.get("tool_calls"))})
        for one in data
    )


def _sampling(data: Mapping[str, Any]) -> Sampling:
    sampling = _known(Sampling, data)
    form = sampling.get("response_format")
    return Sampling(
        **{
            **sampling,
            "stop": tuple(sampling["stop"]),
            "response_format": ResponseFormat(**_known(ResponseFormat, form)) if form else None,
        }
    )


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in dataclasses.fields(cls)}
    return {name: value for name, value in data.items() if name in names}


def _tuple(value: Any) -> tuple[Any, ...] | None:
    return None if value is None else tuple(value)
