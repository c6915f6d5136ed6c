"""A request's sampling as vLLM's parameters, one to one."""

from __future__ import annotations

import dataclasses
from typing import Any

from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

from workers.constraints import grammar
from workers.contract.constraint import Constraint
from workers.contract.errors import (
    InferenceError,
    UnsupportedParameter,
    ValidationFailed,
    WorkerLost,
)
from workers.contract.job import Sampling
from workers.engines import seeds
from workers.engines.vllm.penalties import Earlier

#: vLLM's parameter -> ours, where it is called otherwise.
_OUR_NAMES = {"structured_outputs": "response_format"}


def parameters(sampling: Sampling, produced: tuple[int, ...], room: int) -> SamplingParams:
    """What vLLM is to do after `produced` tokens, with `room` for so many more.

    Stop strings are not among it: they match over text that an earlier attempt gave too, which
    vLLM does not know. A continued generation with a seed goes on with another random stream
    than the first attempt: the seed plus the number of tokens produced.

    Raises:
        UnsupportedParameter: vLLM takes no such parameter or value.
        ValidationFailed: nothing can be held to the constraint.
        WorkerLost: the answer is held to a format, and vLLM cannot go on in the middle of one.
    """
    if sampling.constraint is not None and produced:
        raise WorkerLost(
            "The worker died in the middle of an answer that is held to a schema or grammar; vLLM "
            "cannot go on after the part that was delivered. Ask again.",
        )
    chosen: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "max_tokens": room,
        "seed": _seed(sampling.seed, len(produced)),
        "detokenize": False,
        "output_kind": RequestOutputKind.DELTA,
        "structured_outputs": _held_to(sampling.constraint),
        **_penalties(sampling, produced),
    }
    try:
        return SamplingParams(**chosen)
    except VLLMValidationError as error:
        raise refused(error) from error


def refused(error: VLLMValidationError) -> InferenceError:
    """The error of a caller whose parameters vLLM refuses for this model, in vLLM's words."""
    name = _OUR_NAMES.get(error.parameter or "", error.parameter)
    return UnsupportedParameter(
        f"vLLM does not do that for this model: {error}", details={"param": name} if name else {}
    )


def _penalties(sampling: Sampling, produced: tuple[int, ...]) -> dict[str, Any]:
    penalties = {
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    if not produced or not any(penalties.values()):
        return penalties
    # To vLLM the produced tokens are part of the prompt, which its own penalties leave out.
    earlier = Earlier(produced, sampling.presence_penalty, sampling.frequency_penalty)
    return {"extra_args": {Earlier.ARGUMENT: dataclasses.asdict(earlier)}}


def _seed(seed: int | None, produced: int) -> int | None:
    if seed is None:
        return None
    return seeds.after(seed, produced, seeds.VLLM_SEEDS)


def _held_to(constraint: Constraint | None) -> StructuredOutputsParams | None:
    """The constraint in the form that vLLM hands on to llguidance as it is.

    Raises:
        ValidationFailed: nothing can be held to it.
    """
    if constraint is None:
        return None
    try:
        return StructuredOutputsParams(grammar=grammar.as_lark(constraint))
    except grammar.Unobeyable as error:
        raise ValidationFailed(
            f"{constraint.param} {error}", details={"param": constraint.param}
        ) from error
