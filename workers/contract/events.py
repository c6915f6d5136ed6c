"""What happens to a job, in order. Exactly one terminal event ends every job.

An event is stored in the job's stream and published in the same bytes: a JSON object whose
`type` is the class's name in snake case and whose `seq` the token log's script assigned.

While an upgrade rolls, readers meet events of a newer version. They ignore fields they do not know.
An event of a type they do not know keeps its number and its body: what passes events on passes it
on, what acts on events skips it. A newer version adds no terminal type: an old reader would wait
for it in vain.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from workers.contract.errors import InferenceError
from workers.contract.fields import known_fields
from workers.contract.logprobs import PackedLogprobs
from workers.contract.step import Outcome
from workers.contract.tools import CallPart


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job."""

    type: ClassVar[str] = ""
    #: The job's sequence number, from 1; 0 until the token log has numbered it.
    seq: int

    def payload(self) -> dict[str, Any]:
        """The event as JSON-ready dict without its number, `type` first."""
        body = dataclasses.asdict(self)
        del body["seq"]
        return {"type": self.type, **body}


@dataclass(frozen=True, slots=True)
class Queued(Event):
    """The job is stored and about to enter its model's queue."""

    type = "queued"


@dataclass(frozen=True, slots=True)
class Started(Event):
    """A worker took a step's lease."""

    type = "started"
    step: str
    attempt: int
    model: str
    #: What the model does in the job.
    part: str = "answer"


@dataclass(frozen=True, slots=True)
class Token(Event):
    """Tokens of a step: their ids, and the text that they completed (it may be empty).

    One event may hold both the end of a thought and the beginning of the answer.
    """

    type = "token"
    step: str
    attempt: int
    token_ids: tuple[int, ...]
    text: str
    #: What the model thinks; never part of the answer.
    reasoning: str = ""
    #: Pieces of the calls that the answer makes.
    calls: tuple[CallPart, ...] = ()
    #: Where they are asked for, of each of the ids; empty for one that is known to be no content.
    logprobs: tuple[PackedLogprobs, ...] = ()
    #: Places in the step's answer of tokens whose text is content, as it is known by now. They are
    #: logged with the ids and told apart from them: text is held back, and a worker may die then.
    content_tokens: tuple[int, ...] = ()

    def payload(self) -> dict[str, Any]:
        """As `Event.payload`; the optional fields only where there are some."""
        body = Event.payload(self)
        body["calls"] = [part.to_dict() for part in self.calls]
        for name in ("reasoning", "calls", "logprobs", "content_tokens"):
            if not body[name]:
                del body[name]
        return body


@dataclass(frozen=True, slots=True)
class Vectors(Event):
    """Some of the vectors of a step that embeds, in the order of its inputs.

    Another attempt makes them anew; those of an input that come last count. The version before
    knows no such event, and runs no model that writes one.
    """

    type = "vectors"
    step: str
    attempt: int
    #: The input of the first one, from 0.
    first: int
    #: Numbers of each.
    dimensions: int
    #: `workers.contract.embedding.encoded`, one after the other.
    data: str


@dataclass(frozen=True, slots=True)
class Ranked(Event):
    """Some of the documents that a step ranked, the best of all first.

    Another attempt ranks them anew; those of a place that come last count. The version before knows
    no such event, and runs no model that writes one.
    """

    type = "ranked"
    step: str
    attempt: int
    #: The place of the first one in the ranking, from 0.
    first: int
    #: Which of the request's documents each is, from 0.
    indexes: tuple[int, ...]
    scores: tuple[float, ...]
    #: Their texts, where the caller asked for them.
    documents: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class StepFinished(Event):
    """A step that is not the job's last ended."""

    type = "step_finished"
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Assessed(Event):
    """What was found in a finished step's text before the next round, or of a prompt before it is
    sent: the version before knows no other type for that.
    """

    type = "assessed"
    step: str
    #: Of a text `score` (0 to 1), `verdict`, `problem`, `validation` (what the check between steps
    #: found), `contamination` (its severity): what there was. Of a prompt `plan` alone: `window`,
    #: and `parts`, of each its `budget`, `asked` and `got`, in tokens.
    findings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Heartbeat(Event):
    """Nothing happened for a while. Made by readers, never stored; its `seq` is the last seen."""

    type = "heartbeat"


@dataclass(frozen=True, slots=True)
class Completed(Event):
    """The job ended with an answer.

    Its outcome is that of the step which answered; of a job of several steps it is their sum, and
    `report` has them.
    """

    type = "completed"
    outcome: Outcome
    report: Mapping[str, Any] | None = None
    #: What became of the lookup in the semantic cache. Added where the event is read, never stored.
    cache: Mapping[str, Any] | None = None

    def payload(self) -> dict[str, Any]:
        """As `Event.payload`; what is never stored is left out."""
        body = Event.payload(self)
        del body["cache"]
        return body


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """The job ended with an error."""

    type = "failed"
    error: Mapping[str, Any]

    def exception(self) -> InferenceError:
        """The error as it was raised."""
        return InferenceError.from_dict(self.error)


@dataclass(frozen=True, slots=True)
class Cancelled(Event):
    """The job was cancelled on request."""

    type = "cancelled"
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown(Event):
    """An event of a type that only a newer version knows."""

    type = "unknown"
    #: As it was stored, without its number; `type` is the newer version's.
    body: Mapping[str, Any]

    def payload(self) -> dict[str, Any]:
        """The event as its writer stored it."""
        return dict(self.body)


TERMINAL = (Completed, Failed, Cancelled)

_BY_TYPE: dict[str, type[Event]] = {
    kind.type: kind
    for kind in (
        Queued,
        Started,
        Token,
        Vectors,
        Ranked,
        StepFinished,
        Assessed,
        Heartbeat,
        *TERMINAL,
    )
}


def encode(event: Event) -> bytes:
    """The event as compact JSON without its number, which the token log's script adds."""
    text = json.dumps(event.payload(), separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="replace")  # an error may quote a lone surrogate


def decode(raw: bytes) -> Event:
    """Rebuild an event from the bytes that the token log stored and published.

    One of a type that only a newer version knows is `Unknown`.
    """
    body = json.loads(raw)
    kind = _BY_TYPE.get(body["type"])
    if kind is None:
        return Unknown(body.pop("seq"), body)
    if kind is Ranked:
        return _ranked(body)
    if "outcome" in body:
        body["outcome"] = Outcome.from_dict(body["outcome"])
    if "token_ids" in body:
        body["token_ids"] = tuple(body["token_ids"])
    if "logprobs" in body:
        body["logprobs"] = tuple(tuple(packed) for packed in body["logprobs"])
    if "content_tokens" in body:
        body["content_tokens"] = tuple(body["content_tokens"])
    if "calls" in body:
        body["calls"] = tuple(CallPart(**known_fields(CallPart, part)) for part in body["calls"])
    return kind(**known_fields(kind, body))


def _ranked(body: dict[str, Any]) -> Ranked:
    known = known_fields(Ranked, body)
    for name in ("indexes", "scores", "documents"):
        if known.get(name) is not None:
            known[name] = tuple(known[name])
    return Ranked(**known)
