"""Jobs, and steps of them that have ended, for tests of what modes decide."""

from orchestration.modes.rounds import FinishedStep, Step
from orchestration.rounds.policy import decide, state_before
from workers.contract.errors import EngineFailed, WorkerLost
from workers.contract.job import CastMember, Job, Message
from workers.contract.step import Outcome, Timings, Usage

RETRIABLE = WorkerLost(retry_after_ms=700)
FINAL = EngineFailed("it broke")


def job(mode, *cast, request="What is it?", **bounds):
    parts = tuple(CastMember(*member.split(":")) for member in cast)
    return Job(
        "chatcmpl-1",
        parts[-1].model,
        (Message("user", request),),
        created=1,
        mode=mode,
        cast=parts,
        bounds=bounds,
    )


def ended(step, number, text="A text.", *, error=None, reason="stop"):
    """A step as a round planned it, with what came of it."""
    outcome = Outcome(
        step=step.name,
        model=step.model,
        attempt=1,
        finish_reason="error" if error and reason == "stop" else reason,
        usage=Usage(10, 5),
        timings=Timings(queued_ms=1, prefill_ms=2, decode_ms=3),
        context_length=100,
        error=error.to_dict() if error else None,
    )
    return FinishedStep(step, number, "" if error and text == "A text." else text, outcome)


def step(name, part="draft", model="m"):
    return Step(name, part, model)


def shape(round_):
    """What a round runs: name, part and model of each step."""
    return [(planned.name, planned.part, planned.model) for planned in round_.steps]


def user(step):
    """What a step's model reads last."""
    return step.assignment.messages[-1].content


def one_by_one(mode, made, *texts, same=lambda decision: decision):
    """The last decision, and the steps, when they end with these texts in turn; a pair is a text
    and how it ended. `same` is what of a decision does not depend on whether its state was kept.
    """
    done, next_, kept = [], mode.plan(made), {}
    for number, text in enumerate(texts, start=1):
        (planned,) = next_.steps
        text, how = text if isinstance(text, tuple) else (text, {})
        done.append(ended(planned, number, text, **how))
        decision = decide(made, mode, done, kept.get(state_before(done)))
        assert same(decide(made, mode, done)) == same(decision)  # kept or made anew
        kept[number], next_ = decision.handoff, decision.next
    return decision, done
