"""A job's steps: what one is to do, how it is named, how it ended. They travel as JSON, too."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.fields import known_fields
from workers.contract.job import Message, messages_from
from workers.contract.sampling import Sampling, sampling_from

#: Name of the step whose tokens are the answer; tokens of other steps are not. Where several
#: choices are asked for, the others' are `answer-1`, `answer-2`, ...
ANSWER = "answer"
#: Stands for the model of steps that need none: what decides between two rounds. No model id
#: begins with such a character.
ORCHESTRATOR = "@orchestration"
#: Finish reason of a step that was not waited for any longer; it is not done again.
LATE = "late"
#: A step that answers, with the number of its try after a dot.
_ANSWER = re.compile(rf"{ANSWER}(-(?P<choice>\d+))?(\.\d+)?")


class StepState(enum.StrEnum):
    """Where one step of a job is."""

    #: Planned; its message may or may not be in a queue.
    PENDING = "pending"
    #: A worker holds its lease.
    RUNNING = "running"
    #: Its outcome is stored.
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    #: Prompt tokens that were already in the cache.
    cached_tokens: int = 0
    #: Of the completion tokens: those in which the model thought.
    reasoning_tokens: int = 0
    #: Tokens of the caller's prediction that were decoded ahead: those that came, of the completion
    #: tokens, and those that did not. Since the last crash, where there was one.
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0
    #: They were spent when the answer was made; now it came from a cache.
    cached: bool = False

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        """Tokens of both."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.accepted_prediction_tokens + other.accepted_prediction_tokens,
            self.rejected_prediction_tokens + other.rejected_prediction_tokens,
            self.cached and other.cached,
        )


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one step is to decode, where that is not what its job's caller sent."""

    messages: tuple[Message, ...]
    sampling: Sampling
    #: What a model said to the same before may stand for what it would say now.
    reusable: bool = False

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {**dataclasses.asdict(self), "sampling": self.sampling.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Assignment:
        """Rebuild an assignment."""
        return cls(
            messages_from(data["messages"]),
            sampling_from(data["sampling"]),
            bool(data.get("reusable", False)),  # the version before does not say
        )


@dataclass(frozen=True, slots=True)
class StepRequest:
    """One model's part in a job, as the plan names it. Holds ids, never prompts."""

    job_id: str
    #: Name of the step, unique in its job: `answer`, `draft`, `critique-1`; what is done again has
    #: a number after a dot, `draft.2`.
    step: str
    model: str
    #: True where this step's end is the job's end; else what comes next is decided then.
    ends_job: bool
    #: What its model does in the job.
    part: str = ANSWER
    #: True where its failure is the job's, though other steps run beside it.
    fails_job: bool = False

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
        return cls(**known_fields(cls, data))


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds a step spent, as its worker measured them."""

    #: Waiting for a worker that had its model.
    queued_ms: float = 0.0
    #: Waiting for a worker that was loading its model.
    loading_ms: float = 0.0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    #: Making tokens of the messages, by the chat template, and what the answer is held to.
    template_ms: float = 0.0

    def __add__(self, other: Timings) -> Timings:
        """What both spent."""
        return Timings(
            self.queued_ms + other.queued_ms,
            self.loading_ms + other.loading_ms,
            self.prefill_ms + other.prefill_ms,
            self.decode_ms + other.decode_ms,
            self.template_ms + other.template_ms,
        )

    def rounded(self) -> dict[str, float]:
        """What it spent on each part, by the part's name, in the order in which they come."""
        return {
            "queued": round(self.queued_ms, 1),
            "loading": round(self.loading_ms, 1),
            "template": round(self.template_ms, 1),
            "prefill": round(self.prefill_ms, 1),
            "decode": round(self.decode_ms, 1),
        }


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
    #: Why something that opened like a call of a tool is none, in sentences.
    notes: tuple[str, ...] = ()
    #: The stop string that ended it; None where none did, or an older worker ran it.
    stop: str | None = None
    #: Hash of the model that its worker had in memory; None where that is not known.
    model_hash: str | None = None

    @classmethod
    def without_run(
        cls,
        step: str,
        model: str,
        finish_reason: str,
        error: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """That of a step which no worker ran: nothing was used, and nothing took time."""
        return cls(step, model, 0, finish_reason, Usage(0, 0), Timings(), 0, error)

    @property
    def context_utilization(self) -> float:
        """The part of its context, 0 to 1, that its prompt and its completion take."""
        if self.context_length < 1:  # nothing was decoded
            return 0.0
        return min(1.0, self.usage.total_tokens / self.context_length)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Outcome:
        """Rebuild an outcome."""
        known = known_fields(cls, data)
        known["notes"] = tuple(known.get("notes", ()))
        known["usage"] = Usage(**known_fields(Usage, data["usage"]))
        known["timings"] = Timings(**known_fields(Timings, data["timings"]))
        return cls(**known)


def answer_step(choice: int) -> str:
    """Name of the step that answers with this choice, counted from 0."""
    return f"{ANSWER}-{choice}" if choice else ANSWER


def is_answer(step: str) -> bool:
    """Whether the tokens of the step of this name are the answer, or one choice of it."""
    return _ANSWER.fullmatch(step) is not None


def tries(step: str) -> int:
    """How many times what the step of this name does was begun by its mode, this one included."""
    number = step.rpartition(".")[2] if "." in step else "1"
    return int(number) if number.isdecimal() else 1


def choice_of(step: str) -> int:
    """Which choice the step of this name answers with; 0 for steps that are no answer."""
    answer = _ANSWER.fullmatch(step)
    return int(answer["choice"] or 0) if answer else 0
