"""How a job ends that did not go as planned. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestration.modes.rounds import FinishedStep, JobAnswer, JobFailure
from workers.contract.errors import (
    CompressionFailed,
    ContextBudgetExceeded,
    InferenceError,
    InsufficientMemory,
    ModelLoadFailed,
    NoWorker,
    OrchestrationFailed,
    UnsupportedParameter,
    ValidationFailed,
)

#: What a caller or an operator can mend, and says how: reported as it is, not as a step's failure.
_SAYS_ENOUGH = (
    CompressionFailed,
    ContextBudgetExceeded,
    InsufficientMemory,
    ModelLoadFailed,
    NoWorker,
    UnsupportedParameter,
    ValidationFailed,
)


def fall_back(
    stages: Sequence[FinishedStep], total_steps: int, facts: Mapping[str, Any] | None = None
) -> JobAnswer | JobFailure:
    """The best of what there is, the later the better, with the reason why it is not more.

    The last of `stages` is what failed; what its caller has seen of it stays the answer.
    """
    failed = stages[-1]
    error = reason(failed)
    if failed.streamed:
        return JobAnswer(failed, total_steps, error, facts or {})
    for done in reversed(stages):
        if done.usable:
            return JobAnswer(done, total_steps, error, facts or {})
    return failure(
        [failed],
        OrchestrationFailed(
            f"No step gave a usable answer; the last one, {failed.step.name} by "
            f"{failed.step.model}: {error.message}",
            details={"step": failed.step.name, "model": failed.step.model, "code": error.code},
        ),
    )


def failure(failed: Sequence[FinishedStep], error: OrchestrationFailed) -> JobFailure:
    """No answer: with this error, or with the one error for which all these steps failed."""
    first = failed[0].error
    alike = all(done.error is not None and type(done.error) is type(first) for done in failed)
    return JobFailure(first if alike and isinstance(first, _SAYS_ENOUGH) else error)


def reason(done: FinishedStep) -> InferenceError:
    """Why a step's text is not used."""
    if done.error is not None:
        return done.error
    what = "was contaminated twice" if done.problem == "contaminated" else "was empty"
    return OrchestrationFailed(
        f"The text of {done.step.name} by {done.step.model} {what}.",
        details={"step": done.step.name, "model": done.step.model},
    )
