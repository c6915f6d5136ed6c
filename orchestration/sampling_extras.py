"""What is asked of tokens, held against the engines of the models that answer."""

from __future__ import annotations

from collections.abc import Iterable

from presets import backends
from presets.model import ModelSpec
from workers.contract.errors import UnsupportedParameter, ValidationFailed
from workers.contract.job import DEFAULT_MODE, Job
from workers.contract.sampling import OF_ONE_ANSWER


def require(job: Job, models: Iterable[ModelSpec]) -> None:
    """Refuse what an engine of the job's models cannot do, or what is of one model alone.

    Raises:
        UnsupportedParameter: names the parameter, the engine and the model.
        ValidationFailed: it is about the tokens of one answer, and several models answer.
    """
    extras = job.sampling.extras
    if job.mode != DEFAULT_MODE:
        _refuse_of_one_answer(extras, job.mode)
    for spec in models:
        able = backends.get(spec.backend).sampling
        for name in extras:
            if name not in able:
                raise UnsupportedParameter(
                    f"The engine {spec.backend} of {spec.id} does not do {name!r}; leave it out, "
                    "or name a model of another engine.",
                    details={"param": name, "engine": spec.backend, "model": spec.id},
                )


def _refuse_of_one_answer(extras: Iterable[str], mode: str) -> None:
    for name in extras:
        if name in OF_ONE_ANSWER:
            raise ValidationFailed(
                f"{name} goes only with orchestration_mode {DEFAULT_MODE!r}; this request's mode "
                f"is {mode!r}, in which several answer.",
                details={"param": name},
            )
