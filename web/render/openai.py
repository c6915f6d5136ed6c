"""From contract events to the bodies of the OpenAI API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from web.render import calls, logprobs
from web.render.choices import Choice, gather
from web.schemas import service_tier
from workers.contract.events import Assessed, Completed, Event, Started, StepFinished, Token
from workers.contract.job import Job
from workers.contract.step import Outcome, Usage, choice_of, is_answer


def completion(job: Job, events: Iterable[Event]) -> dict[str, Any]:
    """The body of a plain answer, from all events of a job that has completed.

    `reasoning_content` is what the model thought before this answer; left out where it did not.
    """
    choices, completed = gather(job, events)
    return {
        "id": job.id,
        "object": "chat.completion",
        "created": job.created,
        "model": job.model,
        "choices": [_whole_choice(job, index, choice) for index, choice in enumerate(choices)],
        "usage": usage(completed.outcome.usage),
        **about(job, completed),
    }


def _whole_choice(job: Job, index: int, choice: Choice) -> dict[str, Any]:
    reasoning = "".join(token.reasoning for token in choice.tokens)
    thought = {"reasoning_content": reasoning} if reasoning else {}
    called = calls.message(job, (part for token in choice.tokens for part in token.calls))
    # As OpenAI has it: an answer of calls alone has no content, not an empty one.
    said = {"content": choice.text or (None if called else ""), **called}
    return {
        "index": index,
        "message": {"role": "assistant", **thought, **said, "refusal": None},
        "logprobs": logprobs.of_answer(job, choice.tokens),
        "finish_reason": calls.finish_reason(job, choice.finish_reason),
    }


def delta(job: Job, token: Token) -> dict[str, Any]:
    """What a token adds to the answer; empty where it shows nothing yet."""
    parts = {"reasoning_content": token.reasoning, "content": token.text}
    said = {name: text for name, text in parts.items() if text}
    return {**said, **calls.delta(job, token.calls)}


def chunk(
    job: Job, delta: dict[str, Any], index: int = 0, logprobs: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A frame of a stream, with a part of the answer, or of the choice of this index."""
    return _chunk(job, [_choice(delta, None, index, logprobs)])


def choice_chunk(job: Job, outcome: Outcome) -> dict[str, Any]:
    """The frame that says how one choice of several ended."""
    reason = calls.finish_reason(job, outcome.finish_reason)
    return _chunk(job, [_choice({}, reason, choice_of(outcome.step))])


def last_chunk(job: Job, completed: Completed) -> dict[str, Any]:
    """The frame that says how the answer ended; where it has several choices, each has said it."""
    reason = calls.finish_reason(job, completed.outcome.finish_reason)
    ends = [] if job.choices > 1 else [_choice({}, reason)]
    return {**_chunk(job, ends), **about(job, completed)}


def usage_chunk(job: Job, completed: Completed) -> dict[str, Any]:
    """The frame with the usage, for those who asked for it."""
    return {**_chunk(job, []), "usage": usage(completed.outcome.usage)}


def step_chunk(job: Job, event: Event) -> dict[str, Any] | None:
    """The frame that says what a step does, for those who asked for it; None for other events."""
    match event:
        case Started():
            described = {
                "event": "step_started",
                "step": event.step,
                "model": event.model,
                "role": event.part,
                "attempt": event.attempt,
            }
        case Token() if not is_answer(event.step):
            described = {"event": "step_tokens", "step": event.step, "text": event.text}
            if event.reasoning:
                described["reasoning_content"] = event.reasoning
        case StepFinished(outcome=ended):
            described = {
                "event": "step_finished",
                "step": ended.step,
                "model": ended.model,
                "finish_reason": ended.finish_reason,
                "usage": usage(ended.usage),
            }
            if ended.error is not None:
                described["error"] = {
                    "code": ended.error["code"],
                    "message": ended.error["message"],
                }
        case Assessed(findings={"plan": _}):
            return None  # of a step that is yet to start; the job's events tell it
        case Assessed():
            described = {"event": "step_assessed", "step": event.step, **event.findings}
        case _:
            return None
    return {**_chunk(job, []), "orchestration": described}


def usage(used: Usage) -> dict[str, Any]:
    """Tokens, as the engine counted them."""
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.total_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
        "completion_tokens_details": {
            "reasoning_tokens": used.reasoning_tokens,
            "accepted_prediction_tokens": used.accepted_prediction_tokens,
            "rejected_prediction_tokens": used.rejected_prediction_tokens,
        },
        **({"cached": True} if used.cached else {}),
    }


def routing(job: Job) -> dict[str, Any]:
    """How the job's model was chosen; nothing where its caller named it."""
    return {} if job.routing is None else {"routing": dict(job.routing)}


def tier(job: Job) -> dict[str, str]:
    """OpenAI's word for the job's priority; nothing where its caller named no tier."""
    return {} if job.service_tier is None else {"service_tier": service_tier.of(job.priority)}


def timings(job: Job, outcome: Outcome) -> dict[str, Any]:
    """Milliseconds of each part of the answer; nothing where its caller did not ask."""
    return {"timings_ms": outcome.timings.rounded()} if job.timings else {}


def _choice(
    delta: dict[str, Any],
    finish_reason: str | None,
    index: int = 0,
    logprobs: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}


def _chunk(job: Job, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": job.id,
        "object": "chat.completion.chunk",
        "created": job.created,
        "model": job.model,
        "choices": choices,
    }


def about(job: Job, completed: Completed) -> dict[str, Any]:
    """How the answer came about. What nothing measured is left out."""
    outcome = completed.outcome
    report = completed.report or {"mode": job.mode, "models_used": [outcome.model], "rounds": 1}
    if outcome.notes:
        report = {**report, "note": " ".join(outcome.notes)}
    return {
        **tier(job),
        **timings(job, outcome),
        "orchestration": report,
        "inference_metadata": {
            "config": job.preset,
            "orchestration_mode": job.mode,
            "models_used": report["models_used"],
            # Choices are steps that hand nothing on.
            "handoff_steps": max(0, len(report.get("steps", ())) - job.choices),
            "compression_applied": _compression_applied(report),
            "context_utilization": round(_context_utilization(outcome, report), 2),
            **routing(job),
            **({} if completed.cache is None else {"cache": dict(completed.cache)}),
        },
    }


def _compression_applied(report: Mapping[str, Any]) -> bool:
    """Whether what was handed to some step is shorter than it was written."""
    handed = (
        step["plan"]["parts"]["handoff"] for step in report.get("steps", ()) if "plan" in step
    )
    return any(part["got"] < part["asked"] for part in handed)


def _context_utilization(outcome: Outcome, report: Mapping[str, Any]) -> float:
    """That of the step whose context was the fullest; steps of a worker of the version before tell
    none.
    """
    of_steps = [step.get("context_utilization") for step in report.get("steps", ())]
    told = [float(part) for part in of_steps if part is not None]
    return max(told, default=outcome.context_utilization)
