"""The handoff: what one round passes to the next, beside the texts themselves. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.errors import HandoffStateInvalid
from workers.contract.job import Job

#: Characters of the request that stand as the goal.
LONGEST_GOAL = 600
#: Decisions, errors and references that are kept, the latest ones.
MOST_ENTRIES = 32


#: Fields that a worker of the version before does not write.
_NEWER = frozenset({"open_questions"})


@dataclass(frozen=True, slots=True)
class Settled:
    """What one text has settled, each in a sentence."""

    decisions: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    #: Quotes from it, on which a decision rests.
    evidence: tuple[str, ...] = ()
    #: What is open now; None: the text says nothing of it.
    open_questions: tuple[str, ...] | None = None

    def lists(self) -> dict[str, tuple[str, ...]]:
        """Each kind of entry by its name."""
        return {
            "decisions": self.decisions,
            "constraints": self.constraints,
            "evidence": self.evidence,
            "open_questions": self.open_questions or (),
        }


NOTHING_SETTLED = Settled()


@dataclass(frozen=True, slots=True)
class HandoffState:
    """What is known when a round begins. All texts are plain."""

    #: The job's id.
    request_id: str
    goal: str
    #: Steps that were accepted so far, and those of the whole plan.
    current_step: int
    total_steps: int
    #: What the caller demands of every answer.
    constraints: tuple[str, ...]
    #: What was settled, in order, in whole sentences.
    decisions_made: tuple[str, ...] = ()
    #: Quotes on which a decision or a critique rests.
    evidence_refs: tuple[str, ...] = ()
    active_errors: tuple[str, ...] = ()
    resolved_errors: tuple[str, ...] = ()
    #: The text that the next step works on.
    compressed_context: str = ""
    #: What nobody has settled yet. A worker of the version before writes none.
    open_questions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> HandoffState:
        """Rebuild a state.

        Raises:
            HandoffStateInvalid: a field is missing or of another type; names it.
        """
        if not isinstance(data, Mapping):
            raise HandoffStateInvalid("The state between two steps is no object.")
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            if field.name not in data:
                if field.name in _NEWER:
                    continue
                raise HandoffStateInvalid(
                    f"The state between two steps has no {field.name}.",
                    details={"field": field.name},
                )
            values[field.name] = _checked(field.name, str(field.type), data[field.name])
        return cls(**values)

    def accepted(self, text: str) -> HandoffState:
        """The state once a step's text was taken: what was wrong before it is resolved."""
        return dataclasses.replace(
            self,
            current_step=self.current_step + 1,
            resolved_errors=_last((*self.resolved_errors, *self.active_errors)),
            active_errors=(),
            compressed_context=text,
        )

    def settled(self, found: Settled) -> HandoffState:
        """The state with what a text has settled; what was said before is not said twice."""
        questions = found.open_questions
        return dataclasses.replace(
            self,
            decisions_made=_last(_united(self.decisions_made, found.decisions)),
            constraints=_last(_united(self.constraints, found.constraints)),
            evidence_refs=_last(_united(self.evidence_refs, found.evidence)),
            open_questions=self.open_questions if questions is None else _last(questions),
        )

    def with_errors(self, errors: tuple[str, ...], evidence: tuple[str, ...] = ()) -> HandoffState:
        """The state with some more that is wrong, and what shows it."""
        return dataclasses.replace(
            self,
            active_errors=_last((*self.active_errors, *errors)),
            evidence_refs=_last((*self.evidence_refs, *evidence)),
        )


def begin(job: Job, total_steps: int) -> HandoffState:
    """The state before the first round."""
    constraints = [turn.content for turn in job.messages if turn.role == "system" and turn.content]
    if (held_to := job.sampling.constraint) is not None:
        what = f"JSON ({held_to.kind})" if held_to.is_json else f"held to a {held_to.kind}"
        constraints.append(f"The answer is {what}.")
    return HandoffState(
        request_id=job.id,
        goal=goal(job),
        current_step=0,
        total_steps=total_steps,
        constraints=tuple(constraints),
    )


def goal(job: Job) -> str:
    """What the caller wants, in at most `LONGEST_GOAL` characters."""
    users = (turn.content or "" for turn in reversed(job.messages) if turn.role == "user")
    request = next(users, "")
    return request if len(request) <= LONGEST_GOAL else f"{request[:LONGEST_GOAL]} [...]"


def _last(entries: tuple[str, ...]) -> tuple[str, ...]:
    return entries[-MOST_ENTRIES:]


def _united(before: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    by_text: dict[str, str] = {}
    for entry in (*before, *more):
        by_text.setdefault(_plain(entry), entry)
    return tuple(by_text.values())


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _checked(name: str, kind: str, value: Any) -> Any:
    if kind.startswith("tuple"):
        if isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
    elif isinstance(value, int if kind == "int" else str):
        return value
    raise HandoffStateInvalid(
        f"The state between two steps has a wrong {name}.", details={"field": name}
    )
