"""What an answer reports of how it came about. Pure; what nothing measured is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestration.modes.rounds import FinishedStep, JobAnswer
from orchestration.validation import ValidationResult
from workers.contract.job import Job
from workers.contract.step import Outcome, Timings, Usage, is_answer


def outcome(ended: Sequence[FinishedStep], answer: JobAnswer) -> Outcome:
    """The job's outcome: the answer's own, with usage and timings of all steps together."""
    own = answer.done.outcome
    outcomes = [done.outcome for done in ended]
    return Outcome(
        step=answer.done.step.name,
        model=answer.done.step.model,
        attempt=own.attempt,
        finish_reason="partial" if answer.error is not None else own.finish_reason,
        usage=answer.usage or sum((each.usage for each in outcomes), start=Usage(0, 0)),
        timings=sum((each.timings for each in outcomes), start=Timings()),
        context_length=own.context_length,
        notes=tuple(
            note for done in ended if is_answer(done.step.name) for note in done.outcome.notes
        ),
    )


def orchestration(
    job: Job,
    ended: Sequence[FinishedStep],
    answer: JobAnswer,
    validations: Mapping[str, ValidationResult],
) -> dict[str, Any]:
    """The `orchestration` object; `validations` are what was found in texts, by their steps."""
    report: dict[str, Any] = {
        "mode": job.mode,
        "models_used": list(dict.fromkeys([job.model, *(done.step.model for done in ended)])),
        **answer.facts,
        "answer_step": answer.done.step.name,
        "steps": [_step(done, validations.get(done.step.name)) for done in ended],
    }
    if answer.error is not None:
        report |= {
            "completed_steps": sum(done.usable for done in ended if not done.step.reads_handoff),
            "total_steps": answer.total_steps,
            "error": {"code": answer.error.code, "message": answer.error.message},
            "partial": True,
        }
    return report


def _step(done: FinishedStep, validation: ValidationResult | None) -> dict[str, Any]:
    ended = done.outcome
    entry: dict[str, Any] = {
        "step": done.step.name,
        "role": done.step.part,
        "model": done.step.model,
        "tokens": {
            "prompt": ended.usage.prompt_tokens,
            "completion": ended.usage.completion_tokens,
        },
        "context_utilization": round(ended.context_utilization, 4),
        "queue_ms": round(ended.timings.queued_ms, 1),
        "prefill_ms": round(ended.timings.prefill_ms, 1),
        "decode_ms": round(ended.timings.decode_ms, 1),
        "attempt": ended.attempt,
        "finish_reason": ended.finish_reason,
    }
    if ended.error is not None:
        entry["error"] = {"code": ended.error["code"], "message": ended.error["message"]}
    if done.plan is not None:
        entry["plan"] = dict(done.plan)
    if validation is not None:
        entry["validation"] = validation.to_dict()
    return entry
