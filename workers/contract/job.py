"""What is asked: a job and its conversation.

These travel between processes as JSON. `version` lets old and new workers run side by side while
an upgrade rolls: readers ignore fields they do not know and refuse a newer major version.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.contract.embedding import Embedding
from workers.contract.fields import known_fields
from workers.contract.prompt import Prompt
from workers.contract.reranking import Reranking
from workers.contract.sampling import Sampling, sampling_from
from workers.contract.tools import Tools
from workers.contract.trace_context import TraceContext

#: The newest that is read. Raised when an old reader could misunderstand what a new writer wrote.
VERSION = 3
#: Of a job that asks for vectors or a ranking: the second one knows answers alone.
OF_ENCODERS = 3
#: Of a job that a reader of the first version understands; it is written where it holds.
FIRST_VERSION = 1
#: Of one that has several choices, or another form than a chat's.
OF_CHOICES = 2
#: Choices of an answer at most, as llama-server and vLLM count them in one step of theirs.
MOST_CHOICES = 16
#: Choices of all prompts of a request together.
MOST_CHOICES_OF_PROMPTS = 64
#: The mode in which one model answers alone: what holds where none is named.
DEFAULT_MODE = "single"
#: What a job says whose old turns may be shortened, and one whose may not.
COMPRESS, KEEP = "auto", "off"


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
    #: Ended on request.
    CANCELLED = "cancelled"
    #: Ended because its deadline passed.
    EXPIRED = "expired"


class Priority(enum.IntEnum):
    """The caller's scale: a higher number is more urgent."""

    #: Work for idle hours; jobs only: no open connection waits for it.
    BULK = 0
    LOW = 1
    NORMAL = 2
    HIGH = 3


class Api(enum.StrEnum):
    """What a job's answer looks like: the bodies of the address at which it was asked for."""

    #: `/v1/chat/completions`: messages.
    CHAT = "chat"
    #: `/v1/completions`: texts.
    TEXT = "text"
    #: `/infill` of llama-server: what stands in a gap.
    INFILL = "infill"
    #: `/v1/embeddings`: vectors.
    EMBEDDINGS = "embeddings"
    #: `/v1/rerank`: documents and their scores.
    RERANK = "rerank"


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
class TemplateOptions:
    """What a caller asks of the model's chat template."""

    #: Variables of the template beside its own, by name; one that it does not know changes nothing.
    variables: Mapping[str, Any] = field(default_factory=dict)
    #: End the prompt where the assistant begins to answer.
    add_generation_prompt: bool = True
    #: The answer goes on with the last message, which is the assistant's.
    continue_final_message: bool = False

    def of_a_step(self) -> TemplateOptions:
        """The options of a step whose conversation an orchestration mode made."""
        return TemplateOptions(self.variables)


@dataclass(frozen=True, slots=True)
class CastMember:
    """One model that takes part in a job, and what it does."""

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
    mode: str = DEFAULT_MODE
    priority: Priority = Priority.NORMAL
    task_type: str | None = None
    user: str | None = None
    #: The X-Request-ID that its log lines have.
    request_id: str | None = None
    #: Id of the API key that asked; None where none was needed. Others never see the job.
    owner: str | None = None
    #: No open connection waits for it: it is listed, and its result kept to be fetched later.
    asynchronous: bool = False
    #: Seconds after its acceptance by which it must have ended; None: it may take its time.
    deadline_s: float | None = None
    #: The webhook that is called at its end.
    webhook: str | None = None
    #: Id of the preset that ran when it was accepted; None where none did.
    preset: str | None = None
    #: Who does what, in the mode's order; empty where one model answers alone.
    cast: tuple[CastMember, ...] = ()
    #: The mode's bounds, as the settings had them when it was accepted.
    bounds: Mapping[str, float | str] = field(default_factory=dict)
    #: Where its model was chosen for it: `model`, `requested`, `strategy` and `reason`. None where
    #: its caller named the model.
    routing: Mapping[str, str] | None = None
    #: What its caller asks of the chat template; a worker that does not know the field leaves it.
    template: TemplateOptions = field(default_factory=TemplateOptions)
    #: What it offers the model to call; None: nothing.
    tools: Tools | None = None
    #: How many answers are asked for, of all prompts; each is a step of its own.
    choices: int = 1
    #: What the model reads instead of messages; each has as many choices.
    prompts: tuple[Prompt, ...] = ()
    #: Instead of both: texts whose vectors are asked for, all in its one step.
    embedding: Embedding | None = None
    #: Or documents that are to be ranked, all in its one step.
    reranking: Reranking | None = None
    api: Api = Api.CHAT
    #: What its caller keeps with it.
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: Whether its caller asked to store it. It is kept as any other, unless it is a response: of
    #: one that is stored the conversation is kept, too.
    store: bool | None = None
    #: The tier that its caller named; what it means is in `priority`.
    service_tier: str | None = None
    #: `COMPRESS`: old turns of its conversation are shortened where they do not fit. A version that
    #: does not know the field sends them as they are.
    compression: str | None = None
    #: Its caller wants to be told how long the parts of the answer took.
    timings: bool = False
    #: What an answer of `/v1/responses` repeats of its request; None: it was asked for elsewhere.
    response: Mapping[str, Any] | None = None
    #: The span of its request, to which everything that is done for it belongs; None: no trace is
    #: kept, and its caller sent none.
    trace: TraceContext | None = None

    @property
    def version(self) -> int:
        """The oldest version whose readers understand it: the first one knows one conversation and
        one choice.
        """
        if self.encoder_request is not None:
            return OF_ENCODERS
        is_known = self.choices == 1 and self.api is Api.CHAT
        return FIRST_VERSION if is_known else OF_CHOICES

    @property
    def encoder_request(self) -> Embedding | Reranking | None:
        """What it asks of a model that reads texts and writes none; None: it asks for answers."""
        return self.embedding or self.reranking

    @property
    def keeps_conversation(self) -> bool:
        """Its messages are kept with its result: a later response may go on with them."""
        return self.response is not None and bool(self.store)

    @property
    def is_listed(self) -> bool:
        """It is listed among its key's jobs, and its result kept to be fetched later."""
        return self.asynchronous or self.keeps_conversation

    @property
    def log_fields(self) -> dict[str, str]:
        """What names it on the log lines of every process that works for it."""
        trace_id = "" if self.trace is None else self.trace.trace_id
        return {"request_id": self.request_id or "", "job_id": self.id, "trace_id": trace_id}

    def prompt_of(self, choice: int) -> Prompt | None:
        """What the model reads for a choice; None: the messages."""
        return self.prompts[choice // self._choices_of_prompt] if self.prompts else None

    def sampling_of(self, choice: int) -> Sampling:
        """How a choice is sampled: the seeds of several of one prompt follow each other."""
        further = choice % self._choices_of_prompt
        if self.sampling.seed is None or further == 0:
            return self.sampling
        return dataclasses.replace(self.sampling, seed=self.sampling.seed + further)

    @property
    def _choices_of_prompt(self) -> int:
        return self.choices // max(1, len(self.prompts))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        apart = dataclasses.replace(self, prompts=(), embedding=None, reranking=None)
        data = dataclasses.asdict(apart)
        data |= {"sampling": self.sampling.to_dict(), "version": self.version}
        if self.embedding is not None:
            data["embedding"] = self.embedding.to_dict()
        if self.reranking is not None:
            data["reranking"] = self.reranking.to_dict()
        return {**data, "prompts": [prompt.to_dict() for prompt in self.prompts]}

    def without_request(self) -> Job:
        """What is kept of it once it has ended: who asked which model how, and no text of theirs,
        unless they asked to store it as a response.

        A reader of any version still reads it.
        """
        sampling = self.sampling.without_texts()
        tools = None if self.tools is None else self.tools.without_request()
        return dataclasses.replace(
            self,
            messages=self.messages if self.keeps_conversation else (),
            response=self.response if self.keeps_conversation else None,
            prompts=(),
            embedding=None if self.embedding is None else self.embedding.without_texts(),
            reranking=None if self.reranking is None else self.reranking.without_texts(),
            sampling=sampling,
            template=TemplateOptions(),
            tools=tools,
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Rebuild a job.

        Raises:
            ValueError: it was written by a newer, incompatible version.
        """
        if data["version"] > VERSION:
            raise ValueError(f"job of version {data['version']}; this process reads {VERSION}")
        known = known_fields(cls, data)
        known["messages"] = messages_from(data["messages"])
        known["sampling"] = sampling_from(data["sampling"])
        known["priority"] = Priority(data["priority"])
        known["prompts"] = tuple(Prompt.from_dict(each) for each in data.get("prompts", ()))
        known["api"] = Api(data.get("api", Api.CHAT))
        known["template"] = TemplateOptions(
            **known_fields(TemplateOptions, data.get("template", {}))
        )
        if embedding := data.get("embedding"):
            known["embedding"] = Embedding.from_dict(embedding)
        if reranking := data.get("reranking"):
            known["reranking"] = Reranking.from_dict(reranking)
        if tools := data.get("tools"):
            known["tools"] = Tools.from_dict(tools)
        if trace := data.get("trace"):
            known["trace"] = TraceContext.from_dict(trace)
        known["cast"] = tuple(
            CastMember(**known_fields(CastMember, part)) for part in data.get("cast", ())
        )
        return cls(**known)


def messages_from(data: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Rebuild a conversation."""
    return tuple(
        Message(
            **{**known_fields(Message, message), "tool_calls": _tuple(message.get("tool_calls"))}
        )
        for message in data
    )


def _tuple(value: Any) -> tuple[Any, ...] | None:
    return None if value is None else tuple(value)
